//! Colours of the pictures.

/// The colours of one scene.
#[derive(Clone, Copy)]
pub(super) struct Scene {
    /// The sky at its top and at the horizon.
    pub sky: [&'static str; 2],
    /// The ground, in front and behind.
    pub ground: [&'static str; 2],
    /// What the thing is painted in when its name says nothing.
    pub paint: &'static str,
    /// Letters.
    pub ink: &'static str,
}

/// Scenes by the first part of a category's slug.
const SCENES: &[(&str, Scene)] = &[
    (
        "winter-sports",
        scene(
            ["#cfe4f5", "#f3f8fc"],
            ["#ffffff", "#dcebf6"],
            "#c8453b",
            "#1f3a52",
        ),
    ),
    (
        "outdoor",
        scene(
            ["#f6d9b8", "#fbf1e2"],
            ["#e8eee2", "#c9d8c5"],
            "#2f6b4f",
            "#243b2e",
        ),
    ),
    (
        "apparel",
        scene(
            ["#e7dff0", "#f8f4fb"],
            ["#ffffff", "#e9e2f1"],
            "#3c4f8a",
            "#2b2745",
        ),
    ),
    (
        "home",
        scene(
            ["#f5dcc9", "#fcf3ea"],
            ["#f3e3d3", "#e6cdb6"],
            "#a8553a",
            "#4a2c20",
        ),
    ),
    (
        "kitchen",
        scene(
            ["#f9e7bd", "#fdf7e6"],
            ["#f2e6cc", "#e2cfa4"],
            "#b5472f",
            "#4a3418",
        ),
    ),
    (
        "electronics",
        scene(
            ["#d5dde6", "#f2f5f8"],
            ["#e6ebf0", "#c9d3de"],
            "#34495e",
            "#1d2a36",
        ),
    ),
    (
        "toys",
        scene(
            ["#fbdcd6", "#fff4f0"],
            ["#ffeeda", "#f9d9b4"],
            "#e0902f",
            "#5a2a26",
        ),
    ),
    (
        "beauty",
        scene(
            ["#f3dbe4", "#fdf4f7"],
            ["#f8e9ee", "#ecd2dc"],
            "#8c4a6b",
            "#4c2438",
        ),
    ),
    (
        "travel",
        scene(
            ["#c9e2e4", "#eff8f8"],
            ["#e2efee", "#c3dcdb"],
            "#1f6f78",
            "#173f45",
        ),
    ),
    (
        "gifts",
        scene(
            ["#f4d3d3", "#fdf0ee"],
            ["#f6e3dc", "#e6c4bb"],
            "#a32638",
            "#4f1420",
        ),
    ),
];

const OTHERWISE: Scene = scene(
    ["#dfe6ec", "#f5f7f9"],
    ["#ffffff", "#e2e8ee"],
    "#4a6378",
    "#22313d",
);

/// Colours as the demo's variants name them.
const PAINTS: &[(&str, &str)] = &[
    ("signal red", "#c62f2d"),
    ("blaze orange", "#e8662a"),
    ("ice blue", "#8fc3e0"),
    ("glacier", "#7fb4c9"),
    ("oxblood", "#6d1f2b"),
    ("cranberry", "#9c2740"),
    ("berry", "#8e2f5c"),
    ("plum", "#5d3560"),
    ("rust", "#a6522c"),
    ("mustard", "#d19e2c"),
    ("pine", "#2b5a46"),
    ("moss", "#66713b"),
    ("sage", "#96a888"),
    ("forest", "#2f4f3a"),
    ("navy", "#22335c"),
    ("midnight", "#1d2747"),
    ("denim", "#47628c"),
    ("blue", "#3b6ea5"),
    ("slate", "#56646f"),
    ("charcoal", "#3d4247"),
    ("graphite", "#45494e"),
    ("black", "#2a2c2f"),
    ("espresso", "#4b3429"),
    ("tobacco", "#7d5a3a"),
    ("camel", "#b98d59"),
    ("oat", "#d3c3a3"),
    ("bone", "#e2d8c3"),
    ("cream", "#ece1c6"),
    ("heather", "#8f879b"),
    ("honey", "#d19a45"),
    ("copper", "#b4683d"),
    ("white", "#f4f2ec"),
    ("red", "#b83232"),
    ("orange", "#dc7530"),
    ("yellow", "#e0b23c"),
    ("green", "#3f7a52"),
    ("purple", "#6b4785"),
    ("pink", "#d3839b"),
    ("brown", "#7a5238"),
    ("gray", "#7d858c"),
    ("grey", "#7d858c"),
    ("beige", "#cfb993"),
    ("silver", "#aab2b9"),
];

/// The scene of a category.
pub(super) fn scene_of(category: &str) -> Scene {
    SCENES
        .iter()
        .filter(|(slug, _)| category.starts_with(slug))
        .max_by_key(|(slug, _)| slug.len())
        .map_or(OTHERWISE, |(_, scene)| *scene)
}

/// The colour that a text names, if it names one: `Signal Red`, `red plaid`.
pub(super) fn paint_of(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    PAINTS
        .iter()
        .find(|(name, _)| text.contains(name))
        .map(|(_, paint)| *paint)
}

/// A colour between `from` and `to`: 0 is the first, 100 the second. What is no `#rrggbb` stays.
pub(super) fn mix(from: &str, to: &str, percent: u32) -> String {
    let channels = |text: &str| {
        let number = u32::from_str_radix(text.get(1..)?, 16).ok()?;
        Some([number >> 16 & 255, number >> 8 & 255, number & 255])
    };
    let (Some(from_channels), Some(to_channels)) = (channels(from), channels(to)) else {
        return from.to_owned();
    };
    let mixed = from_channels
        .iter()
        .zip(to_channels)
        .map(|(from, to)| (from * (100 - percent.min(100)) + to * percent.min(100)) / 100);
    mixed.fold(String::from("#"), |text, channel| {
        format!("{text}{channel:02x}")
    })
}

const fn scene(
    sky: [&'static str; 2],
    ground: [&'static str; 2],
    paint: &'static str,
    ink: &'static str,
) -> Scene {
    Scene {
        sky,
        ground,
        paint,
        ink,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_and_mixed() {
        assert_eq!(paint_of("Signal Red"), Some("#c62f2d"));
        assert_eq!(paint_of("nothing"), None);
        assert_eq!(mix("#000000", "#ffffff", 50), "#7f7f7f");
        assert_eq!(mix("#102030", "#ffffff", 0), "#102030");
        assert_eq!(scene_of("gifts-books").paint, "#a32638");
        assert_eq!(scene_of("unknown").paint, OTHERWISE.paint);
    }
}
