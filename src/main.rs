//! Parses the command line, runs the command and turns its ending into an exit code.

use std::io::Write as _;
use std::process::ExitCode as ProcessExitCode;

use clap::Parser as _;
use refarch::cli::Cli;
use refarch::exit::ExitCode;
use refarch::process::Interrupts;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ProcessExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "refarch: failed to start: {error}");
            return ExitCode::ToolMissing.into();
        }
    };
    let exit = runtime.block_on(async {
        let interrupts = Interrupts::default();
        if let Err(error) = listen(&interrupts) {
            let _ = writeln!(std::io::stderr(), "refarch: failed to listen for signals: {error}");
            return ExitCode::ToolMissing;
        }
        match cli.run(interrupts).await {
            Ok(exit) => exit,
            Err(failure) => {
                let _ = writeln!(std::io::stderr(), "{:?}", failure.report);
                failure.exit
            }
        }
    });
    // A question that nobody answered still reads standard input; it must not hold up the end.
    runtime.shutdown_background();
    exit.into()
}

/// Counts Ctrl-C and SIGTERM. A closed terminal ends nothing: the run goes on into its log.
fn listen(interrupts: &Interrupts) -> std::io::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut stream = signal(kind)?;
        let interrupts = interrupts.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                interrupts.interrupt();
            }
        });
    }
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move { while hangup.recv().await.is_some() {} });
    Ok(())
}
