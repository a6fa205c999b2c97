//! Rows of an import, checked one by one.
//!
//! A file of a supplier always has some bad rows. Each is refused on its own with the field and the
//! reason, and the others go on.

use std::collections::{BTreeMap, HashSet};

use contracts::hub::catalog::v1::{ImportRow, ImportVariant};
use mesh::Currency;
use sha2::{Digest, Sha256};

use super::{
    decimal,
    product::{
        Image, MAX_ATTRIBUTES, MAX_IMAGES, MAX_VARIANT_ATTRIBUTES, MAX_VARIANTS, Pricing, Problem,
        check_attributes, is_sku,
    },
    slug,
};

/// Units of one variant at most.
pub const MAX_STOCK: i64 = 100_000_000;

/// What an import row says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowContent {
    /// Line of the file.
    pub line: i64,
    /// Stock keeping unit of the product.
    pub sku: String,
    /// Display name.
    pub name: String,
    /// Slug that the row asks for.
    pub slug: Option<String>,
    /// Short description.
    pub description: String,
    /// Long description.
    pub long_description: String,
    /// Brand.
    pub brand: String,
    /// Slug of the category.
    pub category: String,
    /// Name of the category when it has to be created.
    pub category_name: String,
    /// Price and tax.
    pub pricing: Pricing,
    /// Pictures.
    pub images: Vec<Image>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// Variants, at least one.
    pub variants: Vec<RowVariant>,
    /// Mean rating in thousandths.
    pub rating_milli: i64,
    /// How many reviews.
    pub review_count: i64,
}

/// A variant of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowVariant {
    /// Stock keeping unit.
    pub sku: String,
    /// What tells it from its siblings.
    pub attributes: BTreeMap<String, String>,
    /// Price in minor units; none for the product's.
    pub price_minor: Option<i64>,
    /// Units when the variant is new.
    pub stock: i64,
}

impl RowContent {
    /// Checks a row.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn read(row: &ImportRow, default: Currency) -> Result<Self, Problem> {
        if !is_sku(&row.sku) {
            return Err(Problem::new(
                "sku",
                "must be 1 to 64 letters, digits, dots, dashes and underscores",
            ));
        }
        let name = row.name.trim();
        length("name", name, 1, 200)?;
        if !row.slug.is_empty() && !slug::is_valid(&row.slug) {
            return Err(Problem::new(
                "slug",
                "must be lower-case words of letters and digits joined by single dashes",
            ));
        }
        length("description", &row.description, 0, 2_000)?;
        length("long_description", &row.long_description, 0, 20_000)?;
        length("brand", &row.brand, 0, 120)?;
        if !slug::is_valid(&row.category) {
            return Err(Problem::new(
                "category",
                "must be a slug: lower-case words of letters and digits joined by single dashes",
            ));
        }
        length("category_name", &row.category_name, 0, 120)?;
        let pricing = Pricing::read(
            &row.price,
            &row.currency,
            &row.compare_at,
            &row.tax_rate,
            default,
        )?;
        if !(row.rating.is_finite() && (0.0..=5.0).contains(&row.rating)) {
            return Err(Problem::new("rating", "must be between 0 and 5"));
        }
        if row.review_count < 0 {
            return Err(Problem::new("review_count", "must not be negative"));
        }
        let attributes = check_attributes("attributes", &row.attributes, MAX_ATTRIBUTES)?;
        let currency = pricing.price.currency;
        Ok(Self {
            line: row.line,
            sku: row.sku.clone(),
            name: name.to_owned(),
            slug: (!row.slug.is_empty()).then(|| row.slug.clone()),
            description: row.description.clone(),
            long_description: row.long_description.clone(),
            brand: row.brand.trim().to_owned(),
            category: row.category.clone(),
            category_name: row.category_name.trim().to_owned(),
            pricing,
            images: read_images(row)?,
            attributes,
            variants: read_variants(row, currency)?,
            // At most 5,000, checked above.
            rating_milli: (row.rating * 1_000.0).round() as i64,
            review_count: i64::from(row.review_count),
        })
    }

    /// Fingerprint of what an update would write. Initial stock and the name of the category are left
    /// out: they count only when something is created.
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Fingerprint::default();
        hash.text(&self.sku);
        hash.text(&self.name);
        hash.text(self.slug.as_deref().unwrap_or_default());
        hash.text(&self.description);
        hash.text(&self.long_description);
        hash.text(&self.brand);
        hash.text(&self.category);
        hash.number(self.pricing.price.minor);
        hash.text(self.pricing.price.currency.as_str());
        hash.number(self.pricing.compare_at.map_or(-1, |price| price.minor));
        hash.text(&self.pricing.tax_rate);
        hash.number(self.rating_milli);
        hash.number(self.review_count);
        hash.number(self.images.len() as i64);
        for image in &self.images {
            hash.text(&image.url);
            hash.text(&image.alt);
        }
        hash.texts(&self.attributes);
        for variant in &self.variants {
            hash.text(&variant.sku);
            hash.number(variant.price_minor.unwrap_or(-1));
            hash.texts(&variant.attributes);
        }
        hash.0.finalize().to_vec()
    }
}

/// SHA-256 over values with their lengths, so that no two lists of values give the same bytes.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Fingerprint {
    fn number(&mut self, number: i64) {
        self.0.update(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as i64);
        self.0.update(text.as_bytes());
    }

    fn texts(&mut self, texts: &BTreeMap<String, String>) {
        self.number(texts.len() as i64);
        for (name, value) in texts {
            self.text(name);
            self.text(value);
        }
    }
}

fn length(field: &str, text: &str, least: usize, most: usize) -> Result<(), Problem> {
    // Bytes bound characters from above, so most texts need no count.
    let fits = text.len() <= most || text.chars().count() <= most;
    match (text.len() >= least, fits) {
        (true, true) => Ok(()),
        (false, _) => Err(Problem::new(field, "is required")),
        (_, false) => Err(Problem::new(
            field,
            format!("must be at most {most} characters long"),
        )),
    }
}

fn read_images(row: &ImportRow) -> Result<Vec<Image>, Problem> {
    if row.images.len() > MAX_IMAGES {
        return Err(Problem::new(
            "images",
            format!("must be at most {MAX_IMAGES}"),
        ));
    }
    row.images
        .iter()
        .enumerate()
        .map(|(index, image)| {
            length(&format!("images[{index}].url"), &image.url, 1, 2_000)?;
            length(&format!("images[{index}].alt"), &image.alt, 0, 300)?;
            Ok(Image {
                url: image.url.clone(),
                alt: image.alt.clone(),
            })
        })
        .collect()
}

fn read_variants(row: &ImportRow, currency: Currency) -> Result<Vec<RowVariant>, Problem> {
    if row.variants.len() > MAX_VARIANTS {
        return Err(Problem::new(
            "variants",
            format!("must be at most {MAX_VARIANTS}"),
        ));
    }
    if row.variants.is_empty() {
        return Ok(vec![RowVariant {
            sku: row.sku.clone(),
            attributes: BTreeMap::new(),
            price_minor: None,
            stock: stock("stock", row.stock)?,
        }]);
    }
    let mut seen = HashSet::new();
    row.variants
        .iter()
        .enumerate()
        .map(|(index, variant)| {
            let read = read_variant(index, variant, currency)?;
            if seen.insert(variant.sku.as_str()) {
                Ok(read)
            } else {
                Err(Problem::new(
                    format!("variants[{index}].sku"),
                    "is given twice in the row",
                ))
            }
        })
        .collect()
}

fn read_variant(
    index: usize,
    variant: &ImportVariant,
    currency: Currency,
) -> Result<RowVariant, Problem> {
    let field = |name: &str| format!("variants[{index}].{name}");
    if !is_sku(&variant.sku) {
        return Err(Problem::new(
            field("sku"),
            "must be 1 to 64 letters, digits, dots, dashes and underscores",
        ));
    }
    let price_minor = match variant.price.as_str() {
        "" => None,
        text => Some(
            decimal::parse_price(text, currency)
                .map_err(|error| Problem::new(field("price"), error.to_string()))?
                .minor,
        ),
    };
    Ok(RowVariant {
        sku: variant.sku.clone(),
        attributes: check_attributes(
            &field("attributes"),
            &variant.attributes,
            MAX_VARIANT_ATTRIBUTES,
        )?,
        price_minor,
        stock: stock(&field("stock"), variant.stock)?,
    })
}

fn stock(field: &str, units: i64) -> Result<i64, Problem> {
    if (0..=MAX_STOCK).contains(&units) {
        Ok(units)
    } else {
        Err(Problem::new(
            field,
            format!("must be between 0 and {MAX_STOCK}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row() -> ImportRow {
        ImportRow {
            line: 7,
            sku: "SLED-1".into(),
            name: "Sled".into(),
            category: "winter".into(),
            price: "89.00".into(),
            ..ImportRow::default()
        }
    }

    fn field(change: impl FnOnce(&mut ImportRow)) -> String {
        let mut row = row();
        change(&mut row);
        RowContent::read(&row, Currency::USD).unwrap_err().field
    }

    #[test]
    fn a_row_without_variants_is_its_own_variant() {
        let content = RowContent::read(&row(), Currency::USD).unwrap();
        assert_eq!(content.variants.len(), 1);
        assert_eq!(content.variants[0].sku, "SLED-1");
        assert_eq!(content.pricing.tax_rate, "0");
    }

    #[test]
    fn problems_name_the_field() {
        assert_eq!(field(|row| row.sku = "a b".into()), "sku");
        assert_eq!(field(|row| row.name = "  ".into()), "name");
        assert_eq!(field(|row| row.slug = "Sled".into()), "slug");
        assert_eq!(field(|row| row.category = String::new()), "category");
        assert_eq!(field(|row| row.price = "12.345".into()), "price");
        assert_eq!(field(|row| row.price = String::new()), "price");
        assert_eq!(field(|row| row.currency = "usd".into()), "currency");
        assert_eq!(field(|row| row.compare_at = "88".into()), "compare_at");
        assert_eq!(field(|row| row.tax_rate = "8.25".into()), "tax_rate");
        assert_eq!(field(|row| row.rating = f64::NAN), "rating");
        assert_eq!(field(|row| row.stock = -1), "stock");
        let twice = |row: &mut ImportRow| {
            let variant = ImportVariant {
                sku: "A".into(),
                ..ImportVariant::default()
            };
            row.variants = vec![variant.clone(), variant];
        };
        assert_eq!(field(twice), "variants[1].sku");
    }

    #[test]
    fn the_fingerprint_is_of_what_an_update_writes() {
        let read = |row: &ImportRow| RowContent::read(row, Currency::USD).unwrap().fingerprint();
        let first = read(&row());
        let mut same = row();
        same.line = 9;
        same.stock = 5;
        same.price = "89".into();
        assert_eq!(read(&same), first);
        let mut other = row();
        other.price = "89.01".into();
        assert_ne!(read(&other), first);
    }
}
