//! The search on the demo shop's catalogue.

#![allow(clippy::unwrap_used)]

use std::{collections::HashSet, sync::Arc};

use chrono::DateTime;
use contracts::hub::{
    agents::v1::{SearchFacet, SearchRequest},
    events::v1::{ProductSnapshot, VariantSnapshot},
    r#type::v1::Money,
};
use mesh::{
    Clock, Failure, Ids,
    store::{Database, Store, StoreConfig},
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Indexer, State,
    engine::{Outcome, search},
    store::{put_product, put_stock, remove_product},
    suggest::suggest,
};
use crate::migrations;

const PRODUCTS: &str = include_str!("../../../../hub/demo/products.ndjson");

struct Shop {
    state: Arc<State>,
    store: Store,
    indexer: Indexer,
    products: Vec<ProductSnapshot>,
    _folder: TempDir,
}

fn at() -> DateTime<chrono::Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(at());
    let ids = Ids::seeded(clock.clone(), 3);
    let store = Store::scratch("agents", migrations::ALL, clock.clone(), ids)
        .await
        .unwrap();
    let products: Vec<ProductSnapshot> = PRODUCTS.lines().enumerate().map(snapshot).collect();
    let batch = products.clone();
    store
        .write(move |tx| async move {
            for product in &batch {
                put_product(&tx, product, at()).await?;
            }
            Ok::<_, Failure>(())
        })
        .await
        .unwrap();
    let state = Arc::new(State::new(folder.path().join("index"), clock));
    let mut indexer = Indexer::new(Arc::clone(&state), store.clone());
    catch_up_to(&mut indexer, &state, products.len()).await;
    Shop {
        state,
        store,
        indexer,
        products,
        _folder: folder,
    }
}

fn snapshot((position, line): (usize, &str)) -> ProductSnapshot {
    let row: Value = serde_json::from_str(line).unwrap();
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let product_id = format!("00000000-0000-7000-8000-{position:012}");
    ProductSnapshot {
        sku: text("sku"),
        slug: text("slug"),
        name: text("name"),
        description: text("description"),
        brand: text("brand"),
        category_slug: text("category"),
        category_name: text("category").replace('-', " "),
        price: Some(Money {
            amount: text("price"),
            currency: "USD".to_owned(),
        }),
        attributes: row["attributes"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        status: "active".to_owned(),
        rating: row["rating"].as_f64().unwrap_or(0.0),
        review_count: row["review_count"].as_i64().unwrap_or(0),
        popularity: row["review_count"].as_f64().unwrap_or(0.0),
        version: 1,
        variants: vec![VariantSnapshot {
            variant_id: format!("{product_id}-v"),
            sku: text("sku"),
            initial_stock: 5,
            ..VariantSnapshot::default()
        }],
        product_id,
    }
}

impl Shop {
    fn search(&self, request: &SearchRequest) -> Outcome {
        let index = self.state.index().unwrap();
        search(&index.searcher(), index.fields(), request, &|| false).unwrap()
    }

    fn ask(&self, query: &str) -> Outcome {
        self.search(&SearchRequest {
            query: query.to_owned(),
            limit: 10,
            ..SearchRequest::default()
        })
    }

    /// Share of products that are among the ten best hits for their own name, as `typed` writes it.
    fn recall(&self, mut typed: impl FnMut(&str) -> String) -> f64 {
        let found = self
            .products
            .iter()
            .filter(|product| {
                let hits = self.ask(&typed(&product.name)).hits;
                hits.iter().any(|hit| hit.product_id == product.product_id)
            })
            .count();
        found as f64 / self.products.len() as f64
    }
}

/// Drops, doubles or swaps a letter inside of one of the longer words.
fn with_typo(name: &str, random: &mut SmallRng) -> String {
    let mut words: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
    let long: Vec<usize> = (0..words.len())
        .filter(|word| {
            words[*word].len() >= 6 && words[*word].bytes().all(|b| b.is_ascii_alphabetic())
        })
        .collect();
    if long.is_empty() {
        return name.to_owned();
    }
    let word = long[random.random_range(0..long.len())];
    let mut letters: Vec<char> = words[word].chars().collect();
    let place = random.random_range(1..letters.len() - 1);
    match random.random_range(0..3) {
        0 => drop(letters.remove(place)),
        1 => letters.insert(place, letters[place]),
        _ => letters.swap(place, place - 1),
    }
    words[word] = letters.into_iter().collect();
    words.join(" ")
}

#[tokio::test]
async fn an_edit_in_a_title_costs_at_most_five_points_of_recall() {
    let shop = shop().await;
    let exact = shop.recall(str::to_owned);
    assert!(exact > 0.97, "{exact}");
    let mut random = SmallRng::seed_from_u64(7);
    let typed = shop.recall(|name| with_typo(name, &mut random));
    assert!(exact - typed <= 0.05, "exact {exact}, with a typo {typed}");
}

#[tokio::test]
async fn a_typo_is_corrected_and_said() {
    let shop = shop().await;
    let outcome = shop.ask("snwboard");
    assert_eq!(outcome.understood.corrected, "snowboard");
    assert!(outcome.found.total > 0);
}

#[tokio::test]
async fn facets_with_one_value_per_product_sum_to_the_total() {
    let shop = shop().await;
    for query in ["", "wool", "sled"] {
        let outcome = shop.search(&SearchRequest {
            query: query.to_owned(),
            with_facets: true,
            ..SearchRequest::default()
        });
        for name in ["brand", "category"] {
            let facet = facet(&outcome, name);
            let sum: i64 = facet.values.iter().map(|value| value.count).sum();
            assert_eq!(
                sum,
                i64::try_from(outcome.found.total).unwrap(),
                "{query} {name}"
            );
        }
    }
}

#[tokio::test]
async fn a_brand_filter_keeps_the_other_brands_in_the_facet() {
    let shop = shop().await;
    let all = shop.search(&SearchRequest {
        with_facets: true,
        ..SearchRequest::default()
    });
    let brand = facet(&all, "brand").values[0].value.clone();
    let outcome = shop.search(&SearchRequest {
        brands: vec![brand.clone()],
        with_facets: true,
        limit: 100,
        ..SearchRequest::default()
    });
    assert!(outcome.hits.iter().all(|hit| hit.brand == brand));
    assert!(facet(&outcome, "brand").values.len() > 1);
}

#[tokio::test]
async fn prices_in_words_become_filters() {
    let shop = shop().await;
    let outcome = shop.ask("jacket under $100");
    for hit in &outcome.hits {
        let amount: f64 = hit.price.as_ref().unwrap().amount.parse().unwrap();
        assert!(amount <= 100.0 || !outcome.relaxed.is_empty(), "{amount}");
    }
    assert!(!outcome.understood.interpreted().is_empty());
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip() {
    let shop = shop().await;
    let mut seen = HashSet::new();
    for offset in (0..200).step_by(40) {
        let page = shop.search(&SearchRequest {
            offset,
            limit: 40,
            ..SearchRequest::default()
        });
        for hit in page.hits {
            assert!(seen.insert(hit.product_id), "a product twice");
        }
    }
    assert_eq!(seen.len(), shop.products.len());
}

#[tokio::test]
async fn what_is_removed_or_sold_out_is_no_longer_found_so() {
    let mut shop = shop().await;
    let product = shop.products[0].clone();
    let (gone, sold) = (
        shop.products[1].product_id.clone(),
        product.product_id.clone(),
    );
    let variant = product.variants[0].variant_id.clone();
    shop.store
        .write(move |tx| async move {
            remove_product(&tx, &gone, at()).await?;
            put_stock(&tx, &sold, &variant, false, at()).await?;
            Ok::<_, Failure>(())
        })
        .await
        .unwrap();
    catch_up_to(&mut shop.indexer, &shop.state, shop.products.len() - 1).await;
    let everything = shop.search(&SearchRequest::default());
    assert_eq!(everything.found.total as usize, shop.products.len() - 1);
    let in_stock = shop.search(&SearchRequest {
        in_stock: true,
        limit: 100,
        ..SearchRequest::default()
    });
    assert!(
        in_stock
            .hits
            .iter()
            .all(|hit| hit.product_id != product.product_id)
    );
}

#[tokio::test]
async fn a_prefix_is_completed_from_names_and_brands() {
    let shop = shop().await;
    let index = shop.state.index().unwrap();
    let complete = |typed: &str| {
        suggest(
            &index.searcher(),
            index.fields(),
            &shop.state.completions(),
            typed,
            8,
        )
        .unwrap()
    };
    assert!(
        complete("snow")
            .iter()
            .any(|item| item.text.to_lowercase().starts_with("snow"))
    );
    let typo = complete("headphnoe");
    assert!(
        typo.iter()
            .any(|item| item.text.to_lowercase().contains("headphone")),
        "{typo:?}"
    );
}

fn facet<'a>(outcome: &'a Outcome, name: &str) -> &'a SearchFacet {
    outcome
        .found
        .facets
        .iter()
        .find(|facet| facet.name == name)
        .unwrap()
}

#[tokio::test]
async fn a_facet_counts_what_choosing_its_value_would_find() {
    let shop = shop().await;
    let chosen = |brands: Vec<String>, category: &str| SearchRequest {
        query: "wool".to_owned(),
        brands,
        category: category.to_owned(),
        with_facets: true,
        ..SearchRequest::default()
    };
    let all = shop.search(&chosen(Vec::new(), "apparel"));
    let brands = facet(&all, "brand");
    assert!(brands.values.len() > 1);
    for value in &brands.values {
        let one = shop.search(&chosen(vec![value.value.clone()], "apparel"));
        assert_eq!(i64::try_from(one.found.total).unwrap(), value.count);
        // Choosing a brand does not change what the other brands are counted as.
        assert_eq!(&facet(&one, "brand").values, &brands.values);
        // Skipping facets lets the inverted index narrow the search: the same is found.
        let narrowed = shop.search(&SearchRequest {
            with_facets: false,
            ..chosen(vec![value.value.clone()], "apparel")
        });
        assert_eq!(narrowed.found.total, one.found.total);
        assert_eq!(narrowed.hits, one.hits);
    }
}

#[tokio::test]
async fn when_nothing_matches_conditions_are_given_up_and_named() {
    let shop = shop().await;
    let ask = |query: &str, min_price: &str, in_stock: bool| {
        shop.search(&SearchRequest {
            query: query.to_owned(),
            min_price: min_price.to_owned(),
            in_stock,
            ..SearchRequest::default()
        })
    };
    // Only the price is in the way, so only the price is given up.
    let dear = ask("sled", "90000", true);
    assert!(dear.found.total > 0);
    assert_eq!(dear.relaxed, ["min_price=90000"]);
    // A word that nothing has or resembles.
    let odd = ask("sled qqqqqzzz", "", false);
    assert!(odd.found.total > 0);
    assert_eq!(odd.relaxed, ["words=1 of 2"]);
    // Nothing at all stays nothing.
    let nothing = ask("qqqqqzzz", "", true);
    assert_eq!(nothing.found.total, 0);
    assert!(nothing.relaxed.is_empty());
}

#[tokio::test]
async fn the_parts_of_a_score_sum_to_it() {
    let shop = shop().await;
    let outcome = shop.ask("wool blanket red");
    assert!(!outcome.hits.is_empty());
    let mut before = f64::INFINITY;
    for hit in &outcome.hits {
        let sum: f64 = hit.score_parts.iter().map(|part| part.contribution).sum();
        assert!((sum - hit.score).abs() < 1e-9, "{} {}", sum, hit.score);
        assert!(hit.score <= before + 1e-4, "hits come best first");
        before = hit.score;
    }
}

#[tokio::test]
async fn an_index_goes_on_where_it_stopped_and_is_built_anew_when_lost() {
    let mut shop = shop().await;
    assert_eq!(shop.indexer.catch_up().await, 0);
    let products = shop.products.len();
    // The same folder in a new process: nothing is read twice.
    drop(shop.indexer);
    shop.state.close();
    let mut again = Indexer::new(Arc::clone(&shop.state), shop.store.clone());
    assert_eq!(again.catch_up().await, 0);
    // An index that cannot be read.
    drop(again);
    shop.state.close();
    let folder = shop._folder.path().join("index");
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        std::fs::write(entry.path().join("meta.json"), "not an index").unwrap();
    }
    let mut anew = Indexer::new(Arc::clone(&shop.state), shop.store.clone());
    assert_eq!(anew.catch_up().await, products);
    let searcher = shop.state.index().unwrap().searcher();
    assert_eq!(searcher.num_docs(), products as u64);
}

/// Brings an index up to date until it holds so many products. Where others write to the same server, what is
/// committed is seen once their older transactions have ended.
async fn catch_up_to(indexer: &mut Indexer, state: &State, products: usize) {
    let clock = Clock::system();
    let deadline = clock.monotonic() + std::time::Duration::from_secs(30);
    loop {
        indexer.catch_up().await;
        let found = state.index().unwrap().searcher().num_docs();
        if found == products as u64 {
            return;
        }
        assert!(clock.monotonic() < deadline, "{found} of {products}");
        clock.sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn every_process_on_a_store_has_an_index_of_its_own() {
    let Ok(url) = std::env::var("HUB_TEST_DATABASE_URL") else {
        eprintln!("skipped: HUB_TEST_DATABASE_URL is not set");
        return;
    };
    let clock = Clock::manual(at());
    let config = StoreConfig {
        database: Some(Database {
            url: url.into(),
            read_url: None,
        }),
        ..StoreConfig::default()
    };
    let open = async |config: &StoreConfig| {
        let ids = Ids::seeded(clock.clone(), 3);
        Store::temporary_with("agents", config, migrations::ALL, clock.clone(), ids)
            .await
            .unwrap()
    };
    let store = open(&config).await;
    let products: Vec<ProductSnapshot> = PRODUCTS.lines().enumerate().map(snapshot).collect();
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let states = [0, 1].map(|process| {
        let folder = folders[process].path().join("index");
        Arc::new(State::new(folder, clock.clone()))
    });
    let mut indexers = states
        .clone()
        .map(|state| Indexer::new(state, store.clone()));
    let mut announced = 0;
    for batch in products.chunks(90) {
        // Some together, as one transaction; the others at the same time as their neighbours.
        let (together, alone) = batch.split_at(batch.len() / 2);
        let (first, rest) = (together.to_vec(), alone.to_vec());
        let together = store.write(move |tx| async move {
            for product in &first {
                put_product(&tx, product, at()).await?;
            }
            Ok::<_, Failure>(())
        });
        let alone = rest.into_iter().map(|product| {
            store.write(move |tx| async move {
                put_product(&tx, &product, at()).await?;
                put_stock(&tx, &product.product_id, &product.sku, true, at()).await?;
                Ok::<_, Failure>(())
            })
        });
        let (together, alone) = futures::join!(together, futures::future::join_all(alone));
        together.unwrap();
        assert!(alone.iter().all(Result::is_ok), "{alone:?}");
        announced += batch.len();
        for (indexer, state) in indexers.iter_mut().zip(&states) {
            catch_up_to(indexer, state, announced).await;
        }
    }
    let gone = products[0].product_id.clone();
    store
        .write(move |tx| async move {
            remove_product(&tx, &gone, at()).await?;
            Ok::<_, Failure>(())
        })
        .await
        .unwrap();
    for (indexer, state) in indexers.iter_mut().zip(&states) {
        catch_up_to(indexer, state, products.len() - 1).await;
    }
    // A folder with the index of another store is not taken for this one's.
    let other = open(&config).await;
    let [one, _] = indexers;
    drop(one);
    states[0].close();
    let mut indexer = Indexer::new(Arc::clone(&states[0]), other.clone());
    catch_up_to(&mut indexer, &states[0], 0).await;
    let product = products[0].clone();
    other
        .write(move |tx| async move {
            put_product(&tx, &product, at()).await?;
            Ok::<_, Failure>(())
        })
        .await
        .unwrap();
    catch_up_to(&mut indexer, &states[0], 1).await;
}
