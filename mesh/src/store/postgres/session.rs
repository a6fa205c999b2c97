//! One connection, and how a statement travels over it.

use deadpool_postgres::Object;
use futures::{TryStreamExt, future::join3};
use tokio_postgres::{RowStream, SimpleQueryMessage, Statement};

use super::{
    super::{Row, Value, config::Pooling},
    decode,
    fault::Fault,
    parameter::Parameter,
    pool::Slot,
};

/// Distinct statements that a connection keeps prepared. When there are more it starts afresh.
const STATEMENT_CACHE: usize = 512;

/// A connection taken out of the pool.
#[derive(Debug)]
pub(super) struct Session {
    client: Object,
    pooling: Pooling,
    _slot: Slot,
}

/// Which rows of a result are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    None,
    First,
    All,
}

/// What a statement gave.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Rows that were returned or changed.
    pub(super) count: u64,
}

/// A statement that can be sent without another flight before it.
pub(super) enum Ready<'a> {
    Prepared(Statement),
    Text(&'a str),
}

impl Session {
    pub(super) fn new(client: Object, pooling: Pooling, slot: Slot) -> Self {
        Self {
            client,
            pooling,
            _slot: slot,
        }
    }

    /// Makes a statement ready: prepared, where the connection stays ours.
    pub(super) async fn ready<'a>(&self, sql: &'a str) -> Result<Ready<'a>, Fault> {
        match self.pooling {
            Pooling::Session => {
                if self.client.statement_cache.size() >= STATEMENT_CACHE {
                    self.client.statement_cache.clear();
                }
                Ok(Ready::Prepared(self.client.prepare_cached(sql).await?))
            }
            Pooling::Transaction => Ok(Ready::Text(sql)),
        }
    }

    /// Runs a statement. It is sent when the future is first polled, so that several travel together.
    pub(super) async fn run(
        &self,
        statement: &Ready<'_>,
        args: &[Value],
        take: Take,
    ) -> Result<Answer, Fault> {
        let parameters = Parameter::list(args)?;
        let stream = match statement {
            Ready::Prepared(statement) => self.client.query_raw(statement, &parameters).await?,
            Ready::Text(sql) => {
                let typed = parameters.iter().map(|one| (one, one.declared()));
                self.client.query_typed_raw(sql, typed).await?
            }
        };
        collect(stream, take).await
    }

    /// Makes a statement ready and runs it.
    pub(super) async fn query(
        &self,
        sql: &str,
        args: &[Value],
        take: Take,
    ) -> Result<Answer, Fault> {
        let statement = self.ready(sql).await?;
        self.run(&statement, args, take).await
    }

    /// Runs a query in a transaction of its own that begins with `begin`, all in one flight.
    pub(super) async fn query_within(
        &self,
        begin: &str,
        sql: &str,
        args: &[Value],
        take: Take,
    ) -> Result<Answer, Fault> {
        let statement = Ready::Text(sql);
        // Polled in this order, and each sends what it has when it is first polled.
        let (begun, answer, ended) = join3(
            self.control(begin),
            self.run(&statement, args, take),
            self.control("COMMIT"),
        )
        .await;
        begun?;
        let answer = answer?;
        ended?;
        Ok(answer)
    }

    /// Runs statements without parameters.
    pub(super) async fn control(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Fault> {
        Ok(self.client.simple_query(sql).await?)
    }

    /// Forgets prepared statements, which the schema may have outgrown.
    pub(super) fn forget_statements(&self) {
        self.client.statement_cache.clear();
    }

    /// Closes the connection instead of giving it back.
    pub(super) fn discard(self) {
        drop(Object::take(self.client));
    }
}

async fn collect(stream: RowStream, take: Take) -> Result<Answer, Fault> {
    futures::pin_mut!(stream);
    let mut answer = Answer::default();
    let mut columns = None;
    while let Some(row) = stream.try_next().await? {
        if take == Take::None || (take == Take::First && !answer.rows.is_empty()) {
            continue;
        }
        let columns = columns.get_or_insert_with(|| decode::columns(&row));
        answer.rows.push(decode::row(columns, &row)?);
    }
    answer.count = stream.rows_affected().unwrap_or(0);
    Ok(answer)
}
