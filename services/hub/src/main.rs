//! Holiday Peak Hub: the whole hub, or any part of it, in one binary.

mod backup;
mod banner;
mod certs;
mod cli;
mod data_dir;
mod envoy;
mod events;
mod graph;
mod import;
mod operator;
mod overview;
mod print;
mod run;
mod seed;
mod stop;
mod targets;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use crate::cli::{CertsCommand, Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the last spans, metrics and log lines may take to reach their collector.
const FLUSH: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let outcome = runtime.block_on(async {
        let outcome = dispatch(cli).await;
        mesh::telemetry::shutdown(FLUSH).await;
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Says on one line what went wrong; operators read it, so causes are joined and not dumped. Many
/// errors repeat their cause in their own text; it is said once.
fn fail(error: &anyhow::Error) -> ExitCode {
    let mut line = String::from("hub");
    for cause in error.chain() {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    eprintln!("{line}");
    ExitCode::FAILURE
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let Cli { settings, command } = cli;
    match command.unwrap_or_default() {
        Command::Up(options) => run::up(&settings, &options).await,
        Command::Serve(options) => run::serve(&settings, &options).await,
        Command::Seed => run::seed(&settings).await,
        Command::Certs(CertsCommand::Dev(options)) => certs::dev(&settings, &options),
        Command::Graph(options) => graph::print(options.format),
        Command::Backup(options) => backup::backup(&settings, &options).await,
        Command::Restore(options) => backup::restore(&settings, &options),
        Command::Events(command) => events::run(&settings, &command).await,
        Command::Services => overview::services(&settings),
        Command::Config => overview::config(&settings).await,
        Command::Envoy(command) => envoy::write(&settings, &command),
        Command::Openapi => overview::openapi(),
        Command::Import(options) => import::import(&settings, &options).await,
        Command::Sagas(command) => operator::sagas(&settings, command).await,
        Command::Dlq(command) => operator::dead_letters(&settings, command).await,
    }
}
