//! The columns of one segment, and the conditions of a search compiled against them.
//!
//! Every thing that can be filtered by is a dimension. A document that fails no dimension is a match;
//! one that fails exactly one still counts in that dimension's facet: that is what lets a customer
//! who chose one brand see how many there would be of another (drill sideways).

use tantivy::{
    DocId, SegmentReader, TantivyError,
    columnar::{Column, StrColumn},
};

use super::{
    filters::{Filters, is_within},
    schema::Fields,
};

/// The columns of a segment.
pub struct Columns {
    /// Brand as shown.
    pub brand: Option<StrColumn>,
    /// Category slug.
    pub category: Option<StrColumn>,
    /// `name=value`.
    pub attribute: Option<StrColumn>,
    /// Folded name.
    pub name: Option<StrColumn>,
    /// Ten-thousandths of a major unit.
    pub price: Column<i64>,
    /// Mean rating.
    pub rating: Column<f64>,
    /// 1 when it can be bought.
    pub in_stock: Column<u64>,
    /// Popularity.
    pub popularity: Column<f64>,
    /// Microseconds since the epoch.
    pub created_at: Column<i64>,
}

impl Columns {
    /// Opens the columns of `segment`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn open(segment: &SegmentReader, fields: &Fields) -> Result<Self, TantivyError> {
        let fast = segment.fast_fields();
        let name = |field| fields.schema.get_field_name(field);
        Ok(Self {
            brand: fast.str(name(fields.brand_exact))?,
            category: fast.str(name(fields.category_slug))?,
            attribute: fast.str(name(fields.attribute))?,
            name: fast.str(name(fields.name_key))?,
            price: fast.i64(name(fields.price))?,
            rating: fast.f64(name(fields.rating))?,
            in_stock: fast.u64(name(fields.in_stock))?,
            popularity: fast.f64(name(fields.popularity))?,
            created_at: fast.i64(name(fields.created_at))?,
        })
    }
}

/// Something that can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Brand.
    Brand,
    /// Category.
    Category,
    /// Price.
    Price,
    /// Rating.
    Rating,
    /// In stock.
    InStock,
    /// The attribute filter at this place.
    Attribute(usize),
}

/// How a document fares under the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All hold.
    Match,
    /// All but this one hold.
    Except(Dimension),
    /// Several fail.
    Fail,
}

/// Conditions compiled to the ordinals of one segment.
pub struct SegmentConditions {
    brands: Option<Vec<u64>>,
    categories: Option<Vec<u64>>,
    price: Option<(i64, i64)>,
    min_rating: Option<f64>,
    in_stock: bool,
    attributes: Vec<Vec<u64>>,
}

impl SegmentConditions {
    /// Compiles `filters` for the segment with these columns.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn compile(filters: &Filters, columns: &Columns) -> Result<Self, TantivyError> {
        let brands = match filters.brands.is_empty() {
            true => None,
            false => Some(ordinals(
                columns.brand.as_ref(),
                filters.brands.iter().map(String::as_str),
            )?),
        };
        let categories = match &filters.category {
            None => None,
            Some(category) => Some(within(columns.category.as_ref(), category)?),
        };
        let attributes = filters
            .attributes
            .iter()
            .map(|(name, values)| {
                let pairs: Vec<String> = values
                    .iter()
                    .map(|value| format!("{name}={value}"))
                    .collect();
                ordinals(columns.attribute.as_ref(), pairs.iter().map(String::as_str))
            })
            .collect::<Result<_, _>>()?;
        let limited = filters.min_price.is_some() || filters.max_price.is_some();
        Ok(Self {
            brands,
            categories,
            price: limited.then(|| {
                (
                    filters.min_price.unwrap_or(i64::MIN),
                    filters.max_price.unwrap_or(i64::MAX),
                )
            }),
            min_rating: (filters.min_rating > 0.0).then_some(filters.min_rating),
            in_stock: filters.in_stock,
            attributes,
        })
    }

    /// How `doc` fares.
    pub fn judge(&self, columns: &Columns, doc: DocId) -> Verdict {
        let mut failed = None;
        let mut check = |holds: bool, dimension: Dimension| {
            if holds {
                return true;
            }
            failed.replace(dimension).is_none()
        };
        if let Some((least, most)) = self.price {
            let price = columns.price.first(doc).unwrap_or(0);
            if !check(least <= price && price <= most, Dimension::Price) {
                return Verdict::Fail;
            }
        }
        if self.in_stock && !check(columns.in_stock.first(doc) == Some(1), Dimension::InStock) {
            return Verdict::Fail;
        }
        if let Some(least) = self.min_rating
            && !check(
                columns.rating.first(doc).unwrap_or(0.0) >= least,
                Dimension::Rating,
            )
        {
            return Verdict::Fail;
        }
        if let Some(wanted) = &self.categories
            && !check(
                has_any(columns.category.as_ref(), doc, wanted),
                Dimension::Category,
            )
        {
            return Verdict::Fail;
        }
        if let Some(wanted) = &self.brands
            && !check(
                has_any(columns.brand.as_ref(), doc, wanted),
                Dimension::Brand,
            )
        {
            return Verdict::Fail;
        }
        for (place, wanted) in self.attributes.iter().enumerate() {
            if !check(
                has_any(columns.attribute.as_ref(), doc, wanted),
                Dimension::Attribute(place),
            ) {
                return Verdict::Fail;
            }
        }
        failed.map_or(Verdict::Match, Verdict::Except)
    }
}

fn has_any(column: Option<&StrColumn>, doc: DocId, wanted: &[u64]) -> bool {
    column.is_some_and(|column| {
        column
            .ords()
            .values_for_doc(doc)
            .any(|ord| wanted.binary_search(&ord).is_ok())
    })
}

/// The ordinals of those `values` that the segment has, sorted.
fn ordinals<'a>(
    column: Option<&StrColumn>,
    values: impl Iterator<Item = &'a str>,
) -> Result<Vec<u64>, TantivyError> {
    let Some(column) = column else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for value in values {
        found.extend(column.dictionary().term_ord(value)?);
    }
    found.sort_unstable();
    Ok(found)
}

/// The ordinals of `category` and of the categories below it, sorted.
fn within(column: Option<&StrColumn>, category: &str) -> Result<Vec<u64>, TantivyError> {
    let Some(column) = column else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut stream = column.dictionary().prefix_range(category).into_stream()?;
    while stream.advance() {
        if std::str::from_utf8(stream.key()).is_ok_and(|slug| is_within(slug, category)) {
            found.push(stream.term_ord());
        }
    }
    Ok(found)
}
