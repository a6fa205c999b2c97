//! Serving: `hub up` and `hub serve`.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use gateway::Gateway;
use mesh::{Hub, Profile, config::Config};
use tokio::net::TcpListener;

use crate::{
    banner::{self, Demo},
    cli::{ServeOptions, Settings, UpOptions},
    data_dir::{DataDirLock, Use},
    seed,
    stop::StopSignals,
    targets::{self, GATEWAY, TARGETS},
};

/// How long calls in flight may take once draining has begun.
pub const DRAIN: Duration = Duration::from_secs(25);
/// How long connections may linger after everything else has ended.
const LINGER: Duration = Duration::from_secs(2);

/// Runs everything in this process.
///
/// # Errors
/// Anything that keeps the hub from starting, as one line for an operator.
pub async fn up(settings: &Settings, options: &UpOptions) -> anyhow::Result<()> {
    let mut stop = StopSignals::listen()?;
    let faults = options.faults.setting();
    let flags: Vec<_> = faults.iter().map(as_flag).collect();
    let config = settings.load_with(&flags)?;
    let hub = build(&config).await?;
    let _lock = DataDirLock::take(hub.data_dir(), Use::Alone)?;
    // The port comes before everything else: a port in use must not cost a migrated database.
    let listener = bind(hub.settings().listen).await?;
    let starting = async {
        targets::start(&hub, TARGETS).await?;
        config.check()?;
        let embedded = hub.profile() == Profile::Embedded;
        if embedded && !options.empty {
            seed::demo_shop(&hub)
                .await
                .context("cannot seed the demo shop")?;
        }
        anyhow::Ok(())
    };
    if let Started::Not = start_unless_stopped(&hub, &mut stop, starting).await? {
        return Ok(());
    }
    let gateway = Gateway::new(&hub)?;
    let demo = if seed::is_seeded(&hub).await? {
        Demo::Present
    } else {
        Demo::Absent
    };
    go_wrong_on_purpose(&hub);
    banner::print(listener.local_addr()?, demo);
    serve_until_stopped(&hub, stop, gateway.serve(listener, hub.shutdown_token())).await
}

/// Fills the shop with the demo data, on the same storage that processes of `hub serve` will use.
///
/// # Errors
/// A service that cannot start or refuses the data, or events that nobody handles.
pub async fn seed(settings: &Settings) -> anyhow::Result<()> {
    let config = settings.load()?;
    let hub = build(&config).await?;
    let _lock = DataDirLock::take(hub.data_dir(), Use::Alone)?;
    targets::with_services(&hub, async {
        seed::demo_shop(&hub)
            .await
            .context("cannot seed the demo shop")?;
        seed::settled(&hub).await
    })
    .await?;
    println!("the demo shop is ready");
    Ok(())
}

/// Runs some services and, when it is among them, the gateway.
///
/// # Errors
/// Anything that keeps them from starting, as one line for an operator.
pub async fn serve(settings: &Settings, options: &ServeOptions) -> anyhow::Result<()> {
    let mut stop = StopSignals::listen()?;
    let faults = options.faults.setting();
    let mut flags: Vec<_> = faults.iter().map(as_flag).collect();
    if options.plaintext {
        flags.push(("mesh.plaintext", "true"));
    }
    let config = settings.load_with(&flags)?;
    let chosen = targets::select(&options.only)?;
    let Some(first) = chosen.first() else {
        bail!("--only names no service");
    };
    let hub = build(&config).await?;
    hub.require_protection(chosen.iter().map(|target| target.name))?;
    let _lock = DataDirLock::take(hub.data_dir(), Use::Shared)?;
    let grpc = match options.grpc {
        Some(address) => address,
        None => crate::overview::default_address(&hub, first.name)?,
    };
    let grpc_listener = bind(grpc).await?;
    let probe = match options.probe {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let with_gateway = chosen.iter().any(|target| target.name == GATEWAY);
    let edge = if with_gateway {
        Some(bind(hub.settings().listen).await?)
    } else {
        None
    };
    if let Some(listener) = probe {
        // From before the start to the end of the process, so that both can be watched.
        println!("probes on http://{}", listener.local_addr()?);
        tokio::spawn(mesh::rpc::serve_probes(
            listener,
            hub.clone(),
            std::future::pending(),
        ));
    }
    let starting = targets::start(&hub, chosen.iter().copied());
    if let Started::Not = start_unless_stopped(&hub, &mut stop, starting).await? {
        return Ok(());
    }

    targets::tolerate_other_sections(&config)?;
    config.check()?;
    let elsewhere: Vec<&str> = TARGETS
        .iter()
        .map(|target| target.name)
        .filter(|name| !chosen.iter().any(|target| target.name == *name))
        .collect();
    if !elsewhere.is_empty() && !hub.bus().has_broker() {
        tracing::warn!(
            elsewhere = elsewhere.join(", "),
            "events stay in this process: services that run elsewhere do not hear of them"
        );
    }
    println!("serving {}", options.only.join(", "));
    go_wrong_on_purpose(&hub);
    let grpc = grpc_listener.local_addr()?;
    let scheme = if hub.tls().is_some() { "https" } else { "http" };
    let mesh_face = mesh::rpc::serve_grpc(grpc_listener, hub.clone());
    match edge {
        Some(listener) => {
            let address = listener.local_addr()?;
            println!("gateway on http://{address}\nhealth     http://{address}/health/ready");
            let gateway = Gateway::new(&hub)?;
            let edge_face = gateway.serve(listener, hub.shutdown_token());
            let both = async {
                let ((), edge_face) = tokio::join!(mesh_face, edge_face);
                edge_face
            };
            println!("ready on {scheme}://{grpc}");
            serve_until_stopped(&hub, stop, both).await
        }
        None => {
            println!("ready on {scheme}://{grpc}");
            let mesh_face = async {
                mesh_face.await;
                anyhow::Ok(())
            };
            serve_until_stopped(&hub, stop, mesh_face).await
        }
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

fn as_flag<'a>(setting: &'a (&'static str, String)) -> (&'static str, &'a str) {
    (setting.0, &setting.1)
}

/// From now on what the rules say goes wrong, and whoever started the hub is told so.
fn go_wrong_on_purpose(hub: &Hub) {
    banner::print_faults(hub.faults());
    hub.faults().arm();
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Whether the start came to its end.
enum Started {
    Whole,
    Not,
}

/// Runs the start. When it fails, or somebody asks to stop meanwhile, ends in order what runs already.
async fn start_unless_stopped(
    hub: &Hub,
    stop: &mut StopSignals,
    starting: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Started> {
    let outcome = tokio::select! {
        outcome = starting => outcome.map(|()| Started::Whole),
        () = stop.requested() => Ok(Started::Not),
    };
    if !matches!(outcome, Ok(Started::Whole)) {
        hub.shutdown(LINGER).await;
    }
    outcome
}

/// Serves until SIGTERM or Ctrl-C, then drains: not ready, no new work, calls in flight finish,
/// events are handed over, stores close. A second signal ends the process at once.
async fn serve_until_stopped<E>(
    hub: &Hub,
    mut stop: StopSignals,
    serving: impl Future<Output = Result<(), E>>,
) -> anyhow::Result<()>
where
    E: Into<anyhow::Error>,
{
    tokio::pin!(serving);
    tokio::select! {
        outcome = &mut serving => {
            hub.shutdown(DRAIN).await;
            return outcome.map_err(Into::into);
        }
        () = stop.requested() => tracing::info!("stopping: finishing calls in flight"),
    }
    let finishing = async {
        let clock = hub.clock();
        hub.announce_drain().await;
        let notice = Duration::from_millis(hub.settings().drain_delay_ms);
        if let Ok(ended) = clock.timeout(notice, &mut serving).await {
            hub.shutdown(DRAIN).await;
            return ended;
        }
        let begin = clock.monotonic();
        // Lets `serving` stop accepting and finish. Only then do the stores close: a request that is
        // still being read has not called anything yet, so the hub does not know of it.
        hub.drain().await;
        let served = clock.timeout(DRAIN, &mut serving).await;
        let spent = clock.monotonic().saturating_duration_since(begin);
        hub.shutdown(DRAIN.saturating_sub(spent).max(LINGER)).await;
        // Whoever still holds a connection open has nobody to talk to any more.
        served.unwrap_or(Ok(()))
    };
    tokio::select! {
        outcome = finishing => outcome.map_err(Into::into),
        () = stop.requested() => bail!("stopped at once; what was in flight is taken up at the next start"),
    }
}
