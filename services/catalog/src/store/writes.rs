//! What a transaction is going to write, gathered first and sent at once.
//!
//! Across a network every statement that is waited for costs a round trip, and an import writes thousands.
//! So whoever changes products collects statements here, and [`Writes::run`] sends them together. Terms and
//! counters, of which a product has dozens, are single statements over arrays on PostgreSQL. SQLite has
//! no round trips, and a prepared statement per row is the fastest that it can do.

use mesh::{
    args,
    events::Emission,
    store::{Dialect, StoreError, Tx, Value},
};

use super::list;

const INSERT_TERM: &str = "INSERT INTO product_terms (name, value, seq) VALUES ($1, $2, $3)";
const DELETE_TERM: &str = "DELETE FROM product_terms WHERE name = $1 AND value = $2 AND seq = $3";
const INSERT_TERMS: &str = "INSERT INTO product_terms (name, value, seq) \
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])";
const DELETE_TERMS: &str = "DELETE FROM product_terms t \
     USING unnest($1::text[], $2::text[], $3::bigint[]) AS gone (name, value, seq) \
     WHERE t.name = gone.name AND t.value = gone.value AND t.seq = gone.seq";

const ADD_COUNT: &str = "INSERT INTO facet_counts (category_slug, kind, name, value, products) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (category_slug, kind, name, value) \
     DO UPDATE SET products = facet_counts.products + excluded.products";
const DELETE_ZERO: &str = "DELETE FROM facet_counts WHERE category_slug = $1 AND kind = $2 AND name = $3 \
     AND value = $4 AND products = 0";
const ADD_COUNTS: &str = "INSERT INTO facet_counts (category_slug, kind, name, value, products) \
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) \
     ON CONFLICT (category_slug, kind, name, value) \
     DO UPDATE SET products = facet_counts.products + excluded.products";
const DELETE_ZEROS: &str = "DELETE FROM facet_counts f \
     USING unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS less (category_slug, kind, name, value) \
     WHERE f.category_slug = less.category_slug AND f.kind = less.kind AND f.name = less.name \
     AND f.value = less.value AND f.products = 0";

/// An attribute value of the product with a row number.
#[derive(Clone, Debug)]
pub struct Term {
    /// Name of the attribute.
    pub name: String,
    /// The value.
    pub value: String,
    /// Row number of the product.
    pub seq: i64,
}

/// See the module.
#[derive(Debug)]
pub struct Writes {
    dialect: Dialect,
    statements: Vec<(&'static str, Vec<Value>)>,
    /// Statements that must change a row.
    guarded: Vec<usize>,
    gone_terms: Vec<Term>,
    new_terms: Vec<Term>,
    counts: Vec<([String; 4], i64)>,
    announcements: Vec<Emission>,
}

impl Writes {
    /// Nothing yet.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            statements: Vec::new(),
            guarded: Vec::new(),
            gone_terms: Vec::new(),
            new_terms: Vec::new(),
            counts: Vec::new(),
            announcements: Vec::new(),
        }
    }

    /// The dialect of the statements.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Adds a statement; statements run in the order in which they were added.
    pub fn push(&mut self, sql: &'static str, args: Vec<Value>) {
        self.statements.push((sql, args));
    }

    /// Adds a statement that must find its row as it was read.
    pub fn push_guarded(&mut self, sql: &'static str, args: Vec<Value>) {
        self.guarded.push(self.statements.len());
        self.push(sql, args);
    }

    /// Adds a term. A product's terms may be changed once per run.
    pub fn add_term(&mut self, term: Term) {
        self.new_terms.push(term);
    }

    /// Removes a term.
    pub fn remove_term(&mut self, term: Term) {
        self.gone_terms.push(term);
    }

    /// Changes the counter of a category, kind, name and value; each at most once per run.
    pub fn count(&mut self, key: [String; 4], step: i64) {
        self.counts.push((key, step));
    }

    /// Adds an event.
    pub fn announce(&mut self, emission: Emission) {
        self.announcements.push(emission);
    }

    /// Sends everything. The counters come last: others wait for them until the transaction ends.
    ///
    /// # Errors
    /// See [`StoreError`]; `Unavailable` when a guarded statement found its row changed.
    pub async fn run(mut self, tx: &Tx) -> Result<(), StoreError> {
        self.write_terms();
        let guarded = std::mem::take(&mut self.guarded);
        let changed = tx
            .execute_batch(std::mem::take(&mut self.statements))
            .await?;
        if guarded.iter().any(|index| changed.get(*index) == Some(&0)) {
            return Err(StoreError::Unavailable {
                message: "the product was changed at the same time".to_owned(),
            });
        }
        tx.emit_all(std::mem::take(&mut self.announcements)).await?;
        self.write_counts();
        tx.execute_batch(self.statements).await?;
        Ok(())
    }

    fn write_terms(&mut self) {
        let gone = std::mem::take(&mut self.gone_terms);
        let new = std::mem::take(&mut self.new_terms);
        for (terms, one, all) in [
            (gone, DELETE_TERM, DELETE_TERMS),
            (new, INSERT_TERM, INSERT_TERMS),
        ] {
            match self.dialect {
                Dialect::Sqlite => {
                    for Term { name, value, seq } in terms {
                        self.push(one, args![name, value, seq]);
                    }
                }
                Dialect::Postgres if terms.is_empty() => {}
                Dialect::Postgres => {
                    let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
                    let values: Vec<&str> = terms.iter().map(|term| term.value.as_str()).collect();
                    let seqs: Vec<i64> = terms.iter().map(|term| term.seq).collect();
                    let columns = vec![
                        list(self.dialect, &names),
                        list(self.dialect, &values),
                        list(self.dialect, &seqs),
                    ];
                    self.push(all, columns);
                }
            }
        }
    }

    fn write_counts(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        match self.dialect {
            Dialect::Sqlite => {
                for ([category, kind, name, value], step) in counts {
                    self.push(ADD_COUNT, args![&category, &kind, &name, &value, step]);
                    if step < 0 {
                        self.push(DELETE_ZERO, args![category, kind, name, value]);
                    }
                }
            }
            Dialect::Postgres if counts.is_empty() => {}
            Dialect::Postgres => {
                let steps: Vec<i64> = counts.iter().map(|(_, step)| *step).collect();
                let mut columns = key_columns(self.dialect, counts.iter());
                columns.push(list(self.dialect, &steps));
                self.push(ADD_COUNTS, columns);
                if steps.iter().any(|step| *step < 0) {
                    let less = counts.iter().filter(|(_, step)| *step < 0);
                    self.push(DELETE_ZEROS, key_columns(self.dialect, less));
                }
            }
        }
    }
}

fn key_columns<'a>(
    dialect: Dialect,
    counts: impl Iterator<Item = &'a ([String; 4], i64)> + Clone,
) -> Vec<Value> {
    (0..4)
        .map(|column| {
            let texts: Vec<&str> = counts
                .clone()
                .map(|(key, _)| key[column].as_str())
                .collect();
            list(dialect, &texts)
        })
        .collect()
}
