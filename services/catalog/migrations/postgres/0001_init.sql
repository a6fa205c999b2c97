-- Texts that are keys or orders compare by bytes, as they do in SQLite: a list has one order everywhere.

CREATE TABLE categories (
    category_id UUID             NOT NULL PRIMARY KEY,
    slug        TEXT COLLATE "C" NOT NULL UNIQUE,
    name        TEXT             NOT NULL,
    description TEXT             NOT NULL,
    parent_slug TEXT COLLATE "C" REFERENCES categories (slug),
    image_url   TEXT             NOT NULL,
    position    BIGINT           NOT NULL,
    version     BIGINT           NOT NULL,
    created_at  TIMESTAMPTZ      NOT NULL,
    updated_at  TIMESTAMPTZ      NOT NULL
);
CREATE INDEX categories_by_parent ON categories (parent_slug);

-- Row numbers are taken before the rows are written, so that a product and what hangs on it go out together.
CREATE SEQUENCE products_seq AS BIGINT;

-- The columns that lists filter, sort and test; long texts are apart so that a walk reads few pages.
-- seq is internal: secondary indexes carry it instead of an id.
CREATE TABLE products (
    seq              BIGINT           NOT NULL PRIMARY KEY DEFAULT nextval('products_seq'),
    product_id       UUID             NOT NULL UNIQUE,
    sku              TEXT COLLATE "C" NOT NULL UNIQUE,
    slug             TEXT COLLATE "C" NOT NULL UNIQUE,
    name             TEXT             NOT NULL,
    name_key         TEXT COLLATE "C" NOT NULL,
    brand            TEXT COLLATE "C" NOT NULL,
    category_slug    TEXT COLLATE "C" NOT NULL REFERENCES categories (slug),
    price_minor      BIGINT           NOT NULL CHECK (price_minor >= 0),
    currency         TEXT             NOT NULL,
    -- The price in ten-thousandths of the major unit, comparable over currencies with other decimals.
    price_key        BIGINT           NOT NULL,
    compare_at_minor BIGINT,
    tax_rate         TEXT             NOT NULL,
    status           TEXT             NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
    rating_milli     BIGINT           NOT NULL CHECK (rating_milli BETWEEN 0 AND 5000),
    review_count     BIGINT           NOT NULL,
    views            BIGINT           NOT NULL,
    purchases        BIGINT           NOT NULL,
    popularity       BIGINT           NOT NULL,
    in_stock         BOOLEAN          NOT NULL,
    created_at       TIMESTAMPTZ      NOT NULL,
    updated_at       TIMESTAMPTZ      NOT NULL,
    published_at     TIMESTAMPTZ,
    version          BIGINT           NOT NULL,
    -- SHA-256 of the import row that the product was last made from; NULL after any other change.
    content_hash     BYTEA
);
ALTER SEQUENCE products_seq OWNED BY products.seq;

-- One index per order, over the whole shop and within a category. Each is read in both directions. Those
-- by price have more columns, so that filtered products are counted without reading the table.
CREATE INDEX products_by_popularity ON products (popularity, seq) WHERE status = 'active';
CREATE INDEX products_by_price ON products (price_key, seq) INCLUDE (brand, rating_milli, in_stock) WHERE status = 'active';
CREATE INDEX products_by_name ON products (name_key, seq) WHERE status = 'active';
CREATE INDEX products_by_rating ON products (rating_milli, seq) WHERE status = 'active';
CREATE INDEX products_by_created ON products (created_at, seq) WHERE status = 'active';
CREATE INDEX products_by_category_popularity ON products (category_slug, popularity, seq) WHERE status = 'active';
CREATE INDEX products_by_category_price ON products (category_slug, price_key, seq) INCLUDE (brand, rating_milli, in_stock) WHERE status = 'active';
CREATE INDEX products_by_category_name ON products (category_slug, name_key, seq) WHERE status = 'active';
CREATE INDEX products_by_category_rating ON products (category_slug, rating_milli, seq) WHERE status = 'active';
CREATE INDEX products_by_category_created ON products (category_slug, created_at, seq) WHERE status = 'active';

CREATE TABLE product_texts (
    seq              BIGINT NOT NULL PRIMARY KEY REFERENCES products (seq),
    description      TEXT   NOT NULL,
    long_description TEXT   NOT NULL,
    images           JSONB  NOT NULL,
    attributes       JSONB  NOT NULL
);

CREATE TABLE variants (
    product_seq   BIGINT           NOT NULL REFERENCES products (seq),
    variant_id    UUID             NOT NULL UNIQUE,
    sku           TEXT COLLATE "C" NOT NULL UNIQUE,
    attributes    JSONB            NOT NULL,
    -- NULL: the product's price.
    price_minor   BIGINT CHECK (price_minor >= 0),
    position      BIGINT           NOT NULL,
    stock         BIGINT           NOT NULL,
    initial_stock BIGINT           NOT NULL,
    -- False when an import no longer lists the variant: carts and orders may still name it.
    is_sold       BOOLEAN          NOT NULL,
    PRIMARY KEY (product_seq, variant_id)
);

-- Attribute values of active products and of their variants; the brand has the empty name.
CREATE TABLE product_terms (
    name  TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    seq   BIGINT           NOT NULL,
    PRIMARY KEY (name, value, seq)
);

-- How many active products of a category (not of its subcategories) share something; kept in the
-- transaction that changes a product. Kinds: all, brand, attribute, price (by lower bound of a bucket),
-- rating (by half star), in_stock.
CREATE TABLE facet_counts (
    category_slug TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    value         TEXT COLLATE "C" NOT NULL,
    products      BIGINT           NOT NULL,
    PRIMARY KEY (category_slug, kind, name, value)
);
CREATE INDEX facet_counts_by_value ON facet_counts (kind, name, value, category_slug) INCLUDE (products);

-- Words of active products, for the search that answers while the search agent cannot. They come folded
-- and labelled from the service: A is the name, B the brand, C all other facts. The table stands apart,
-- because products change their popularity often and their words seldom. No pending list (fastupdate): a
-- search reads all of it.
CREATE TABLE product_words (
    seq   BIGINT   NOT NULL PRIMARY KEY,
    words TSVECTOR NOT NULL
);
CREATE INDEX product_words_by_word ON product_words USING gin (words) WITH (fastupdate = off);
