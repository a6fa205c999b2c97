//! CSV: a header that names the columns, then one product per record.

use std::{io::Read, str::FromStr};

use contracts::hub::catalog::v1::{Image, ImportRow};
use csv::{Reader, ReaderBuilder, StringRecord};

use super::{RowError, json};

/// Start of the name of a column that is an attribute.
const ATTRIBUTE: &str = "attribute:";

/// The rows of CSV text with a header.
pub fn read_csv<R: Read + Send>(
    file: R,
) -> impl Iterator<Item = Result<ImportRow, RowError>> + Send {
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(file);
    let columns = match reader.headers() {
        Ok(headers) => columns(headers),
        Err(error) => Err(RowError::of_line(1, error)),
    };
    let (columns, problem) = match columns {
        Ok(columns) => (Some(columns), None),
        Err(error) => (None, Some(error)),
    };
    Records {
        reader,
        columns,
        problem,
        record: StringRecord::new(),
    }
}

struct Records<R> {
    reader: Reader<R>,
    /// None once reading has ended.
    columns: Option<Vec<Column>>,
    problem: Option<RowError>,
    record: StringRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Sku,
    Name,
    Slug,
    Description,
    LongDescription,
    Brand,
    Category,
    CategoryName,
    Price,
    Currency,
    CompareAt,
    TaxRate,
    Images,
    Rating,
    ReviewCount,
    Stock,
    Variants,
}

#[derive(Clone, Debug)]
enum Column {
    Field(Field),
    Attribute(String),
}

fn columns(headers: &StringRecord) -> Result<Vec<Column>, RowError> {
    let columns = headers
        .iter()
        .map(|header| {
            let header = header.trim_start_matches('\u{feff}');
            if let Some(name) = header.strip_prefix(ATTRIBUTE) {
                return Ok(Column::Attribute(name.trim().to_owned()));
            }
            let field = match header {
                "sku" => Field::Sku,
                "name" => Field::Name,
                "slug" => Field::Slug,
                "description" => Field::Description,
                "long_description" => Field::LongDescription,
                "brand" => Field::Brand,
                "category" => Field::Category,
                "category_name" => Field::CategoryName,
                "price" => Field::Price,
                "currency" => Field::Currency,
                "compare_at" => Field::CompareAt,
                "tax_rate" => Field::TaxRate,
                "images" => Field::Images,
                "rating" => Field::Rating,
                "review_count" => Field::ReviewCount,
                "stock" => Field::Stock,
                "variants" => Field::Variants,
                unknown => {
                    return Err(RowError {
                        field: unknown.to_owned(),
                        ..RowError::of_line(1, "is not a column of a product file")
                    });
                }
            };
            Ok(Column::Field(field))
        })
        .collect::<Result<Vec<_>, RowError>>()?;
    let has_sku = columns
        .iter()
        .any(|column| matches!(column, Column::Field(Field::Sku)));
    if has_sku {
        Ok(columns)
    } else {
        Err(RowError {
            field: "sku".to_owned(),
            ..RowError::of_line(1, "the header has no such column")
        })
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<ImportRow, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(problem) = self.problem.take() {
            return Some(Err(problem));
        }
        let columns = self.columns.as_ref()?;
        let line = |position: Option<&csv::Position>| {
            position.map_or(0, |position| {
                i64::try_from(position.line()).unwrap_or(i64::MAX)
            })
        };
        match self.reader.read_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => Some(row(columns, &self.record, line(self.record.position()))),
            Err(error) => {
                let at = line(error.position());
                // A bad record is skipped; a file that cannot be read ends here.
                if matches!(error.kind(), csv::ErrorKind::Io(_)) {
                    self.columns = None;
                }
                Some(Err(RowError::of_line(at, error)))
            }
        }
    }
}

fn row(columns: &[Column], record: &StringRecord, line: i64) -> Result<ImportRow, RowError> {
    let mut row = ImportRow {
        line,
        ..ImportRow::default()
    };
    let mut problem = None;
    if record.len() > columns.len() {
        problem = Some((String::new(), "has more cells than the header".to_owned()));
    }
    for (column, cell) in columns.iter().zip(record) {
        if cell.is_empty() {
            continue;
        }
        let result = match column {
            Column::Attribute(name) => {
                row.attributes.insert(name.clone(), cell.to_owned());
                Ok(())
            }
            Column::Field(field) => set(&mut row, *field, cell),
        };
        if let Err((field, message)) = result {
            problem.get_or_insert((field.to_owned(), message));
        }
    }
    match problem {
        None => Ok(row),
        Some((field, message)) => Err(RowError {
            line,
            sku: row.sku,
            field,
            message,
        }),
    }
}

fn set(row: &mut ImportRow, field: Field, cell: &str) -> Result<(), (&'static str, String)> {
    let text = match field {
        Field::Sku => &mut row.sku,
        Field::Name => &mut row.name,
        Field::Slug => &mut row.slug,
        Field::Description => &mut row.description,
        Field::LongDescription => &mut row.long_description,
        Field::Brand => &mut row.brand,
        Field::Category => &mut row.category,
        Field::CategoryName => &mut row.category_name,
        Field::Price => &mut row.price,
        Field::Currency => &mut row.currency,
        Field::CompareAt => &mut row.compare_at,
        Field::TaxRate => &mut row.tax_rate,
        Field::Images => {
            row.images = cell
                .split([' ', '|'])
                .filter(|url| !url.is_empty())
                .zip(0..)
                .map(|(url, order)| Image {
                    url: url.to_owned(),
                    alt: String::new(),
                    order,
                })
                .collect();
            return Ok(());
        }
        Field::Rating => {
            row.rating = number("rating", cell)?;
            return Ok(());
        }
        Field::ReviewCount => {
            row.review_count = number("review_count", cell)?;
            return Ok(());
        }
        Field::Stock => {
            row.stock = number("stock", cell)?;
            return Ok(());
        }
        Field::Variants => {
            row.variants = json::variants(cell).map_err(|error| ("variants", error.to_string()))?;
            return Ok(());
        }
    };
    cell.clone_into(text);
    Ok(())
}

fn number<T: FromStr>(field: &'static str, cell: &str) -> Result<T, (&'static str, String)> {
    cell.parse()
        .map_err(|_| (field, format!("{cell:?} is not a number here")))
}
