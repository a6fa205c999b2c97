//! `hub import`: a file of products into the catalog, in batches.

use std::{
    io::{IsTerminal, Write},
    path::Path,
};

use anyhow::{Context, ensure};
use catalog::import_file::{RowError, read_rows};
use contracts::hub::catalog::v1::{
    ImportProductsRequest, ImportProductsResponse, ImportRow,
    catalog_management_service_client::CatalogManagementServiceClient,
};
use mesh::{CallContext, Hub, config::HubSettings};
use tonic::{Request, Status};

use crate::{
    cli::{ImportOptions, Settings},
    data_dir::{DataDirLock, Use},
    operator::{self, OperatorChannel, said},
    run, targets,
};

/// Rows sent at once; also the most that are in memory.
const BATCH: usize = 500;
/// Bad rows that are printed; the rest are only counted.
const PRINTED_ERRORS: u64 = 100;

/// Reads the file and imports it: through the running hub, or into the data folder when no hub
/// serves it.
///
/// # Errors
/// The file cannot be read, or the hub cannot be reached. Bad rows are printed and skipped.
pub async fn import(settings: &Settings, options: &ImportOptions) -> anyhow::Result<()> {
    let config = settings.load()?;
    ensure!(
        options.file.is_file(),
        "cannot read {}: no such file",
        options.file.display()
    );
    let folder = config.section::<HubSettings>("hub")?.data_dir;
    let progress = match DataDirLock::try_take(&folder, Use::Alone)? {
        Some(_lock) => {
            let hub = run::build(&config).await?;
            targets::with_services(&hub, import_into(&options.file, Catalog::here(&hub))).await?
        }
        None => {
            let channel = operator::connect(&config).await?;
            import_into(&options.file, Catalog::running(channel)).await?
        }
    };
    progress.finish();
    Ok(())
}

/// The catalog that takes the rows.
enum Catalog {
    Here(Box<Hub>),
    Running(OperatorChannel),
}

impl Catalog {
    fn here(hub: &Hub) -> Self {
        Self::Here(Box::new(hub.clone()))
    }

    fn running(channel: OperatorChannel) -> Self {
        Self::Running(channel)
    }

    async fn send(&self, rows: Vec<ImportRow>) -> Result<ImportProductsResponse, anyhow::Error> {
        let message = ImportProductsRequest { rows };
        match self {
            Self::Here(hub) => said(send_here(hub, message).await),
            Self::Running(channel) => said(
                CatalogManagementServiceClient::new(channel.clone())
                    .import_products(Request::new(message))
                    .await,
            ),
        }
    }
}

async fn send_here(
    hub: &Hub,
    message: ImportProductsRequest,
) -> Result<tonic::Response<ImportProductsResponse>, Status> {
    let context = CallContext::background("import", hub);
    CatalogManagementServiceClient::new(hub.channel())
        .import_products(context.call(message))
        .await
}

async fn import_into(file: &Path, catalog: Catalog) -> anyhow::Result<Progress> {
    let mut progress = Progress::default();
    let mut batch = Vec::with_capacity(BATCH);
    let rows = read_rows(file).with_context(|| format!("cannot read {}", file.display()))?;
    for row in rows {
        match row {
            Ok(row) => batch.push(row),
            Err(error) => progress.unreadable(&error),
        }
        if batch.len() == BATCH {
            progress.add(&catalog.send(std::mem::take(&mut batch)).await?);
        }
    }
    if !batch.is_empty() {
        progress.add(&catalog.send(batch).await?);
    }
    Ok(progress)
}

/// What happened to the rows so far.
#[derive(Default)]
struct Progress {
    created: i64,
    updated: i64,
    unchanged: i64,
    bad: u64,
}

impl Progress {
    fn add(&mut self, answer: &ImportProductsResponse) {
        self.created += answer.created;
        self.updated += answer.updated;
        self.unchanged += answer.unchanged;
        for error in &answer.errors {
            self.report(error.line, &error.sku, &error.field, &error.message);
        }
        self.show();
    }

    fn unreadable(&mut self, error: &RowError) {
        self.report(error.line, &error.sku, &error.field, &error.message);
    }

    fn report(&mut self, line: i64, sku: &str, field: &str, message: &str) {
        self.bad += 1;
        if self.bad > PRINTED_ERRORS {
            return;
        }
        let sku = if sku.is_empty() {
            String::new()
        } else {
            format!(" ({sku})")
        };
        eprintln!("line {line}{sku}: {field}: {message}");
    }

    /// Rewrites one line on a terminal and stays silent in a pipe.
    fn show(&self) {
        let mut out = std::io::stdout();
        if out.is_terminal() {
            print!("\r{self}");
            // Progress that cannot be shown is no reason to stop.
            let _ = out.flush();
        }
    }

    fn finish(&self) {
        println!("\r{self}");
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            created,
            updated,
            unchanged,
            bad,
        } = self;
        write!(
            f,
            "{created} created, {updated} updated, {unchanged} unchanged, {bad} bad rows"
        )
    }
}
