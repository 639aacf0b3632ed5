//! The metrics of the process that [Prometheus' client
//! libraries](https://prometheus.io/docs/instrumenting/writing_clientlibs/) export. They are read from Linux's /proc at
//! each scrape, and left out if that fails.

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

#[derive(Debug)]
pub struct ProcessCollector;

struct ProcessFigures {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: i64,
    open_fds: u64,
    max_fds: Option<u64>,
}

fn read() -> ProcResult<ProcessFigures> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
    Ok(ProcessFigures {
        cpu_seconds: seconds(stat.utime + stat.stime),
        start_seconds: boot_time_secs()? as f64 + seconds(stat.starttime),
        resident_bytes: stat.rss * page_size(),
        virtual_bytes: stat.vsize,
        threads: stat.num_threads,
        open_fds: process.fd_count()? as u64,
        max_fds: max_fds(&process)?,
    })
}

fn max_fds(process: &Process) -> ProcResult<Option<u64>> {
    Ok(match process.limits()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(limit),
        LimitValue::Unlimited => None,
    })
}

/// Returns how many file descriptors the process may open, or `None` if there is no limit or the limit cannot be read.
pub fn max_descriptors() -> Option<u64> {
    max_fds(&Process::myself().ok()?).ok()?
}

impl Collector for ProcessCollector {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(figures) = read() else { return Ok(()) };
        let mut put = |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(out.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        put("process_cpu", "User and system CPU time", seconds, &ConstCounter::new(figures.cpu_seconds))?;
        let start = ConstGauge::new(figures.start_seconds);
        put("process_start_time", "Start time of the process since the Unix epoch", seconds, &start)?;
        put("process_resident_memory", "Resident memory", bytes, &ConstGauge::new(figures.resident_bytes))?;
        put("process_virtual_memory", "Virtual memory", bytes, &ConstGauge::new(figures.virtual_bytes))?;
        put("process_threads", "Threads", None, &ConstGauge::new(figures.threads))?;
        put("process_open_fds", "Open file descriptors", None, &ConstGauge::new(figures.open_fds))?;
        let Some(max_fds) = figures.max_fds else { return Ok(()) };
        put("process_max_fds", "Maximum number of open file descriptors", None, &ConstGauge::new(max_fds))
    }
}
