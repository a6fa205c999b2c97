//! The index: which fields it has and how their text is cut into terms.
//!
//! Text fields are folded to ASCII, lower-cased and stemmed (Snowball English), each with its own
//! length norm, because the weights of the ranking are per field. `words` keeps the same words
//! unstemmed: it is the dictionary that spelling is corrected and queries are completed against.
//! Everything that is filtered, counted or sorted by is a column (fast field); a hit as the answer
//! shows it is stored ready-made, as the bytes of its message.

use tantivy::{
    schema::{
        BytesOptions, FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema,
        TextFieldIndexing, TextOptions,
    },
    tokenizer::{
        AsciiFoldingFilter, Language, LowerCaser, RawTokenizer, RemoveLongFilter, SimpleTokenizer,
        Stemmer, TextAnalyzer, TokenizerManager,
    },
};

/// Changes whenever fields or the treatment of text do: an index of another version is built anew.
pub const VERSION: u32 = 1;

/// Longest term that is kept, in bytes; anything longer is no word.
const LONGEST_TERM: usize = 40;

const STEMMED: &str = "hub_stemmed";
const PLAIN: &str = "hub_plain";
const EXACT: &str = "hub_exact";

/// A field that is ranked by.
#[derive(Clone, Copy, Debug)]
pub struct RankedField {
    /// The field.
    pub field: Field,
    /// Its name in explanations.
    pub name: &'static str,
    /// Weight of its BM25 score.
    pub weight: f32,
}

/// How many fields are ranked by.
pub const RANKED: usize = 5;

/// Handles of the fields.
#[derive(Clone, Debug)]
pub struct Fields {
    /// The schema they belong to.
    pub schema: Schema,
    /// Product id, exact.
    pub product_id: Field,
    /// SKUs of the product and its variants, lower case, exact.
    pub sku: Field,
    /// Name, brand, category, attributes and description, in this order.
    pub ranked: [RankedField; RANKED],
    /// Unstemmed words of name, brand, category and attribute values.
    pub words: Field,
    /// The whole brand as stems joined by spaces.
    pub brand_key: Field,
    /// The whole category name as stems joined by spaces.
    pub category_key: Field,
    /// Words of attributes that say a color, stemmed.
    pub color: Field,
    /// Brand as it is shown; exact and a column.
    pub brand_exact: Field,
    /// Category slug; exact and a column.
    pub category_slug: Field,
    /// `name=value` of every attribute; a column.
    pub attribute: Field,
    /// Name folded for sorting; a column.
    pub name_key: Field,
    /// Price in ten-thousandths of a major unit; a column.
    pub price: Field,
    /// Mean rating; a column.
    pub rating: Field,
    /// 1 when it can be bought; a column.
    pub in_stock: Field,
    /// Popularity; a column.
    pub popularity: Field,
    /// When it came into being, microseconds; a column.
    pub created_at: Field,
    /// Encoded `SearchHit`; stored.
    pub hit: Field,
    /// Name of the category; stored.
    pub category_name: Field,
}

impl Fields {
    /// The fields of this version.
    pub fn new() -> Self {
        let mut schema = Schema::builder();
        let text = |tokenizer: &str, record| {
            TextOptions::default().set_indexing_options(
                TextFieldIndexing::default()
                    .set_tokenizer(tokenizer)
                    .set_index_option(record),
            )
        };
        let ranked =
            |schema: &mut tantivy::schema::SchemaBuilder, name: &'static str, weight| RankedField {
                field: schema.add_text_field(name, text(STEMMED, IndexRecordOption::WithFreqs)),
                name,
                weight,
            };
        let ranked = [
            ranked(&mut schema, "name", 4.0),
            ranked(&mut schema, "brand", 3.0),
            ranked(&mut schema, "category", 2.0),
            ranked(&mut schema, "attributes", 1.5),
            ranked(&mut schema, "description", 1.0),
        ];
        let product_id = schema.add_text_field("product_id", STRING);
        let sku = schema.add_text_field("sku", text(EXACT, IndexRecordOption::Basic));
        let words = schema.add_text_field("words", text(PLAIN, IndexRecordOption::Basic));
        let brand_key = schema.add_text_field("brand_key", STRING);
        let category_key = schema.add_text_field("category_key", STRING);
        let color = schema.add_text_field("color", text(STEMMED, IndexRecordOption::Basic));
        let brand_exact = schema.add_text_field("brand_exact", STRING | FAST);
        let category_slug = schema.add_text_field("category_slug", STRING | FAST);
        let attribute = schema.add_text_field("attribute", STRING | FAST);
        let name_key = schema.add_text_field("name_key", TextOptions::default().set_fast("raw"));
        let price = schema.add_i64_field("price", FAST);
        let rating = schema.add_f64_field("rating", FAST);
        let in_stock = schema.add_u64_field("in_stock", FAST | INDEXED);
        let popularity = schema.add_f64_field("popularity", FAST);
        let created_at = schema.add_i64_field("created_at", FAST);
        let hit = schema.add_bytes_field("hit", BytesOptions::default().set_stored());
        let category_name = schema.add_text_field("category_name", STORED);
        Self {
            schema: schema.build(),
            product_id,
            sku,
            ranked,
            words,
            brand_key,
            category_key,
            color,
            brand_exact,
            category_slug,
            attribute,
            name_key,
            price,
            rating,
            in_stock,
            popularity,
            created_at,
            hit,
            category_name,
        }
    }
}

/// The tokenizers that the fields name.
pub fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(STEMMED, stemmed());
    manager.register(PLAIN, plain());
    manager.register(
        EXACT,
        TextAnalyzer::builder(RawTokenizer::default())
            .filter(LowerCaser)
            .build(),
    );
    manager
}

fn plain() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_TERM))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build()
}

fn stemmed() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_TERM))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(Language::English))
        .build()
}

/// Cuts text as the index does.
pub struct Cutter {
    plain: TextAnalyzer,
    stemmed: TextAnalyzer,
}

impl Cutter {
    /// A cutter of its own state.
    pub fn new() -> Self {
        Self {
            plain: plain(),
            stemmed: stemmed(),
        }
    }

    /// Words, folded and in lower case, not stemmed.
    pub fn words(&mut self, text: &str) -> Vec<String> {
        terms(&mut self.plain, text)
    }

    /// Stems.
    pub fn stems(&mut self, text: &str) -> Vec<String> {
        terms(&mut self.stemmed, text)
    }

    /// The stems joined by spaces: two spellings of one brand or category have the same key.
    pub fn key(&mut self, text: &str) -> String {
        self.stems(text).join(" ")
    }
}

fn terms(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    analyzer
        .token_stream(text)
        .process(&mut |token| terms.push(token.text.clone()));
    terms
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn inflections_share_a_stem_and_accents_do_not_matter() {
        let mut cutter = Cutter::new();
        assert_eq!(cutter.stems("Sleds"), cutter.stems("sled"));
        assert_eq!(cutter.stems("candles"), cutter.stems("Candle"));
        assert_eq!(cutter.words("Crème BRÛLÉE"), ["creme", "brulee"]);
        assert_eq!(cutter.key("Skis & Snowboards"), cutter.key("ski snowboard"));
    }
}
