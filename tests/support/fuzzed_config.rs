//! What the fuzz target `config` checks of an input: any bytes as the configuration file.

use std::time::Duration;

use scan_admission::admission::{self, Context, Webhook};
use scan_admission::config::{Config, check_modes};
use scan_admission::manifest::encoding;

use super::review_context::context;

/// A review that several rules judge.
const REVIEW: &[u8] = br#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "operation": "UPDATE",
    "subResource": "status", "namespace": "dev", "kind": {"group": "scanning.apps.tanzu.vmware.com", "version": "v1beta1",
    "kind": "SourceScan"}, "userInfo": {"username": "a", "groups": ["b"]}, "object": {"status": {"phase": "Done"}}}}"#;

/// Any bytes as the configuration file.
pub fn check_config(bytes: &[u8]) {
    let decoded = encoding::decode(bytes);
    match Config::read(bytes) {
        Ok(config) => {
            check_values(&config);
            // The same text in another encoding is the same configuration.
            let text = std::str::from_utf8(&decoded).unwrap();
            let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut again = Config::read(&utf16).unwrap();
            again.settings.digest.clone_from(&config.settings.digest);
            assert_eq!(again, config);
            assert!(check_modes(bytes, |_| None).is_ok());
            check_answers(&config);
        }
        Err(error) => check_position(&decoded, error.line, error.column, &error.message),
    }
    if let Err(error) = check_modes(bytes, |rule| Some(format!("{rule} cannot"))) {
        check_position(&decoded, error.line, error.column, &error.message);
    }
}

/// Expects a position in the file or at its end. In YAML, CR is a line end too; the encoding is checked before YAML.
fn check_position(decoded: &[u8], line: u64, column: u64, message: &str) {
    assert!(!message.is_empty());
    let of_yaml = String::from_utf8_lossy(decoded).replace("\r\n", "\n").replace('\r', "\n");
    let is_in = |text: &[u8]| {
        let line = text.split(|byte| *byte == b'\n').nth(usize::try_from(line - 1).unwrap());
        let length = line.map(|line| line.iter().filter(|byte| !(0x80..=0xBF).contains(*byte)).count());
        length.is_some_and(|length| (1..=length as u64 + 1).contains(&column))
    };
    assert!(is_in(decoded) || is_in(of_yaml.as_bytes()), "no column {column} in a line {line}: {message}");
}

/// Expects values that docs/config.md permits.
fn check_values(config: &Config) {
    let limits = &config.limits;
    let times = [limits.handshake, limits.head, limits.idle, limits.body, limits.write, limits.drain];
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    assert!(times.iter().all(|time| range.contains(time)), "{limits:?}");
    assert!([limits.connections, limits.reviews].iter().all(|count| (1..=1_000_000).contains(count)), "{limits:?}");
    assert!((16 << 20..=64 << 30).contains(&limits.bodies_bytes), "{limits:?}");
    let settings = &config.settings;
    assert!(settings.help.is_empty() || settings.help.to_lowercase().starts_with("http"), "{}", settings.help);
    assert!(settings.help.chars().count() <= 200);
    assert!(settings.status_writers.iter().all(|writer| !writer.is_empty() && !writer.contains('*')));
    for entry in &settings.overrides {
        let names = entry.namespaces.iter().chain(&entry.users).chain(&entry.groups);
        assert!(names.clone().count() > 0 && names.clone().all(|name| !name.is_empty()) && !entry.modes.is_empty());
    }
}

/// Expects that reviews are answered with the configuration.
fn check_answers(config: &Config) {
    for webhook in [Webhook::Validating, Webhook::Mutating] {
        let context = Context { settings: &config.settings, ..context(webhook) };
        assert_eq!(admission::answer(REVIEW, &context).http, 200);
    }
}
