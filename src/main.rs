use std::process::ExitCode;

fn main() -> ExitCode {
    scan_admission::cli::run()
}
