//! Serving: `hub up` and `hub serve`.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use gateway::Gateway;
use mesh::{Hub, Profile, config::Config};
use tokio::{net::TcpListener, signal};

use crate::{
    banner::{self, Demo},
    cli::{ServeOptions, Settings, UpOptions},
    data_dir::DataDirLock,
    seed,
    targets::{self, GATEWAY, TARGETS},
};

/// How long calls in flight may take once draining has begun.
pub const DRAIN: Duration = Duration::from_secs(25);

/// Runs everything in this process.
///
/// # Errors
/// Anything that keeps the hub from starting, as one line for an operator.
pub async fn up(settings: &Settings, options: &UpOptions) -> anyhow::Result<()> {
    let config = settings.load()?;
    let hub = build(&config).await?;
    let _lock = DataDirLock::take(hub.data_dir())?;
    // The port comes before everything else: a port in use must not cost a migrated database.
    let listener = bind(hub.settings().listen).await?;
    targets::start(&hub, TARGETS).await?;
    config.check()?;

    let embedded = hub.profile() == Profile::Embedded;
    if embedded && !options.empty {
        seed::demo_shop(&hub).await.context("cannot seed the demo shop")?;
    }
    let gateway = Gateway::new(&hub)?;
    let demo = if seed::is_seeded(hub.data_dir()) {
        Demo::Present
    } else {
        Demo::Absent
    };
    banner::print(listener.local_addr()?, demo);
    serve_until_stopped(&hub, gateway.serve(listener, hub.shutdown_token())).await
}

/// Runs some services and, when it is among them, the gateway.
///
/// # Errors
/// Anything that keeps them from starting, as one line for an operator.
pub async fn serve(settings: &Settings, options: &ServeOptions) -> anyhow::Result<()> {
    let config = settings.load()?;
    let chosen = targets::select(&options.only)?;
    let Some(first) = chosen.first() else {
        bail!("--only names no service");
    };
    let hub = build(&config).await?;
    let _lock = DataDirLock::take(hub.data_dir())?;
    let grpc = match options.grpc {
        Some(address) => address,
        None => crate::overview::default_address(&hub, first.name)?,
    };
    let grpc_listener = bind(grpc).await?;
    let with_gateway = chosen.iter().any(|target| target.name == GATEWAY);
    let edge = if with_gateway {
        Some(bind(hub.settings().listen).await?)
    } else {
        None
    };
    targets::start(&hub, chosen.iter().copied()).await?;

    println!("serving {} on {grpc} (gRPC)", options.only.join(", "));
    let mesh_face = mesh::rpc::serve_grpc(grpc_listener, hub.clone());
    match edge {
        Some(listener) => {
            println!("gateway on http://{}", listener.local_addr()?);
            let gateway = Gateway::new(&hub)?;
            let edge_face = gateway.serve(listener, hub.shutdown_token());
            let both = async {
                let (mesh_face, edge_face) = tokio::join!(mesh_face, edge_face);
                mesh_face?;
                edge_face?;
                anyhow::Ok(())
            };
            serve_until_stopped(&hub, both).await
        }
        None => serve_until_stopped(&hub, mesh_face).await,
    }
}

/// Opens what every command that touches the data folder needs.
///
/// # Errors
/// A configuration that cannot be used.
pub async fn build(config: &Config) -> anyhow::Result<Hub> {
    mesh::telemetry::init(config)?;
    Ok(Hub::builder().config(config.clone()).build().await?)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Serves until SIGTERM or Ctrl-C, then drains: not ready, no new work, calls in flight finish,
/// events are handed over, stores close.
async fn serve_until_stopped<E>(
    hub: &Hub,
    serving: impl Future<Output = Result<(), E>>,
) -> anyhow::Result<()>
where
    E: Into<anyhow::Error>,
{
    tokio::pin!(serving);
    let ended_by_itself = tokio::select! {
        outcome = &mut serving => Some(outcome.map_err(Into::into)),
        outcome = stop_requested() => { outcome?; None }
    };
    if ended_by_itself.is_none() {
        tracing::info!("stopping: finishing calls in flight");
    }
    // Cancels the shutdown token first, which lets `serving` stop accepting and drain.
    let drain = hub.shutdown(DRAIN);
    match ended_by_itself {
        Some(outcome) => {
            drain.await;
            outcome
        }
        None => {
            let (outcome, _) = tokio::join!(serving, drain);
            outcome.map_err(Into::into)
        }
    }
}

async fn stop_requested() -> anyhow::Result<()> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = signal::ctrl_c() => outcome?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
