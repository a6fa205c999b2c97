//! `hub backup` and `hub restore`.

use anyhow::{Context, ensure};
use contracts::hub::admin::v1::{CreateBackupRequest, admin_service_client::AdminServiceClient};
use mesh::{backup, config::HubSettings};

use crate::{
    cli::{BackupOptions, RestoreOptions, Settings},
    data_dir::{DataDirLock, Use},
    operator::{self, said},
    run, targets,
};

/// Makes a backup: by the hub that serves the data folder, or from the folder itself when none does.
///
/// # Errors
/// The folder exists, the services keep their data elsewhere, or the disk fails.
pub async fn backup(settings: &Settings, options: &BackupOptions) -> anyhow::Result<()> {
    let config = settings.load()?;
    ensure!(
        !options.out.exists(),
        "{} exists already",
        options.out.display()
    );
    let data = config.section::<HubSettings>("hub")?.data_dir;
    match DataDirLock::try_take(&data, Use::Alone)? {
        Some(_lock) => {
            let hub = run::build(&config).await?;
            targets::register_all(&hub).await?;
            let outcome = backup::create(&hub, &options.out).await;
            hub.shutdown(run::DRAIN).await;
            outcome?;
        }
        None => {
            let channel = operator::connect(&config).await?;
            let made = said(
                AdminServiceClient::new(channel)
                    .create_backup(CreateBackupRequest {})
                    .await,
            )?;
            let there = data.join("backups").join(&made.name);
            backup::relocate(&there, &options.out)
                .with_context(|| format!("the backup stays in {}", there.display()))?;
        }
    }
    let manifest = backup::verify(&options.out)?;
    println!(
        "{}: {} files, {} bytes, as of {}",
        options.out.display(),
        manifest.files.len(),
        manifest.bytes(),
        manifest.taken_at.to_rfc3339()
    );
    Ok(())
}

/// Makes the data folder from a backup.
///
/// # Errors
/// The backup is damaged, or the data folder is not empty.
pub fn restore(settings: &Settings, options: &RestoreOptions) -> anyhow::Result<()> {
    let data = settings.load()?.section::<HubSettings>("hub")?.data_dir;
    let manifest = backup::restore(&options.from, &data)?;
    println!(
        "{}: {} files as of {}; start it with `hub up`",
        data.display(),
        manifest.files.len(),
        manifest.taken_at.to_rfc3339()
    );
    Ok(())
}
