//! What is drawn: one shape per kind of thing, on a field of 200 by 200.
//!
//! `A` is the paint, `B` its shade, `C` its light and `D` a neutral dark: letters that stand alone in
//! quotation marks and are replaced by colours.

/// The shape for a thing of this name and category: by the most telling word, else by the category.
pub(super) fn motif(name: &str, category: &str) -> &'static str {
    // What a book is about says nothing about how it looks.
    if category == "gifts-books" {
        return BOOK;
    }
    let name = name.to_lowercase();
    WORDS
        .iter()
        .find(|(words, _)| words.iter().any(|word| name.contains(word)))
        .or_else(|| {
            CATEGORIES
                .iter()
                .filter(|(words, _)| words.iter().any(|slug| category.starts_with(slug)))
                .max_by_key(|(words, _)| words.iter().map(|word| word.len()).max())
        })
        .map_or(GIFT, |(_, shape)| shape)
}

type Table = &'static [(&'static [&'static str], &'static str)];

/// Earlier words win: a ski boot is a boot, a boot backpack a pack.
const WORDS: Table = &[
    (
        &["backpack", "daypack", "winter pack", "ski bag", "duffel"],
        PACK,
    ),
    (
        &[
            "skate skis",
            "skis",
            "touring set",
            "climbing skins",
            "poles",
        ],
        SKIS,
    ),
    (&["skates"], SKATE),
    (
        &[
            "snowboard bindings",
            "bindings",
            "cleats",
            "gaiters",
            "snowshoes",
            "snow stakes",
        ],
        CLEAT,
    ),
    (
        &[
            "boot care",
            "cream",
            "balm",
            "film",
            "nuts",
            "fire kit",
            "wax kit",
            "soak",
            "preserves",
            "beans",
            "drinking chocolate",
        ],
        JAR,
    ),
    (&["boots", "hikers", "slippers", "shoes", "booties"], BOOT),
    (&["socks", "stocking"], SOCK),
    (&["snowboard", "board", "splitboard"], SNOWBOARD),
    (&["sled", "racer", "tube"], SLED),
    (&["helmet"], HELMET),
    (&["goggles", "night mask"], GOGGLES),
    (&["tent", "tarp"], TENT),
    (
        &[
            "suitcase",
            "carry-on",
            "packing cubes",
            "toiletry",
            "hamper",
            "tags",
        ],
        SUITCASE,
    ),
    (
        &[
            "lantern",
            "headlamp",
            "lamp",
            "wake light",
            "string lights",
            "beacon",
            "smart home",
        ],
        LANTERN,
    ),
    (&[" stove", "heater", "fireplace", "log carrier"], STOVE),
    (&["axe", "saw", "shovel", "waxing iron"], AXE),
    (&["bottle", "diffuser", "syrup", "body oil"], BOTTLE),
    (
        &[
            "parka", "peacoat", "shell", "jacket", "puffer", "vest", "cardigan", "robe",
        ],
        COAT,
    ),
    (&["pants", "bibs", "jeans", "leggings"], TROUSERS),
    (
        &[
            "sweater",
            "pullover",
            "crew",
            "heavy flannel",
            "pajama",
            "apron",
        ],
        SWEATER,
    ),
    (&["beanie", "hat"], BEANIE),
    (&["mitts", "gloves"], MITTEN),
    (
        &[
            "throw",
            "quilt",
            "sheet set",
            "comforter",
            "pillow",
            "rug",
            "scarf",
            "blanket",
            "sleeping bag",
            "pad",
            "underquilt",
            "wrapping paper",
        ],
        BLANKET,
    ),
    (&["candle", "tapers"], CANDLE),
    (&["tree", "wreath"], TREE),
    (&["ornament"], ORNAMENT),
    (
        &[
            "dutch oven",
            "skillet",
            "saute",
            "fondue",
            "bundt",
            "sheet pans",
            "waffle",
        ],
        POT,
    ),
    (
        &[
            "knife", "cutters", "butcher", "blender", "grinder", "brush", "shaving",
        ],
        KNIFE,
    ),
    (&["mugs", "bowls", "tea", "french press"], MUG),
    (&["kettle"], KETTLE),
    (&["headphones", "earbuds"], HEADPHONES),
    (
        &["speaker", "radio", "power station", "power bank", "adapter"],
        SPEAKER,
    ),
    (&["turntable"], TURNTABLE),
    (&["camera", "projector"], CAMERA),
    (
        &[
            "picture frame",
            "puzzle",
            "pieces",
            "cards",
            "calendar",
            "game",
            "ferry",
        ],
        FRAME,
    ),
    (&["train"], TRAIN),
    (&["blocks", "crystal"], BLOCKS),
    (&["dollhouse", "cottage"], HOUSE),
    (&["bear", "hare"], BEAR),
    (&["kite"], KITE),
    (&["soap", "chocolate", "truffle"], SOAP),
    (&["chair"], CHAIR),
];

const CATEGORIES: Table = &[
    (&["winter-sports"], SLED),
    (&["winter-sports-skis"], SKIS),
    (&["outdoor"], TENT),
    (&["apparel"], SWEATER),
    (&["apparel-footwear"], BOOT),
    (&["home"], CANDLE),
    (&["kitchen"], POT),
    (&["electronics"], HEADPHONES),
    (&["toys"], TRAIN),
    (&["beauty"], JAR),
    (&["travel"], SUITCASE),
    (&["gifts"], GIFT),
];

const SLED: &str = r##"<path d="M20 150h130c24 0 34-14 34-32" fill="none" stroke="D" stroke-width="9" stroke-linecap="round"/><path d="M46 112v36M96 112v36M140 112v36" stroke="D" stroke-width="7"/><rect x="22" y="94" width="138" height="10" rx="5" fill="A"/><rect x="22" y="108" width="138" height="10" rx="5" fill="B"/><path d="M160 100c10 0 16 8 24 18" stroke="A" stroke-width="6" fill="none"/><path d="M184 116c6-22-8-42-30-52" stroke="C" stroke-width="4" fill="none" stroke-dasharray="2 5"/>"##;
const SKIS: &str = r##"<g transform="rotate(12 100 100)"><path d="M74 186V40c0-16 6-26 13-26s13 10 13 26v146z" fill="A"/><path d="M80 186V42h6v144z" fill="C"/><rect x="70" y="98" width="34" height="20" rx="5" fill="D"/></g><g transform="rotate(-10 110 100)"><path d="M108 186V40c0-16 6-26 13-26s13 10 13 26v146z" fill="B"/><path d="M126 186V42h-6v144z" fill="A"/><rect x="104" y="98" width="34" height="20" rx="5" fill="D"/></g>"##;
const SNOWBOARD: &str = r##"<g transform="rotate(18 100 100)"><rect x="70" y="10" width="60" height="180" rx="30" fill="A"/><path d="M70 66l60-30v34l-60 30z" fill="B"/><path d="M70 132l60-30v18l-60 30z" fill="C"/><rect x="66" y="58" width="68" height="16" rx="6" fill="D"/><rect x="66" y="124" width="68" height="16" rx="6" fill="D"/></g>"##;
const SKATE: &str = r##"<path d="M58 20h48v60l48 18c14 5 20 14 20 26v14H58z" fill="A"/><path d="M58 20h48v16H58z" fill="B"/><path d="M106 52l22 10M106 66l24 12M110 82l26 10" stroke="C" stroke-width="5" stroke-linecap="round"/><path d="M70 138v20M150 138v20" stroke="D" stroke-width="8"/><path d="M48 166h126c8 0 12-4 12-10" fill="none" stroke="D" stroke-width="8" stroke-linecap="round"/>"##;
const CLEAT: &str = r##"<path d="M100 14c34 0 46 34 46 66 0 46-18 106-46 106s-46-60-46-106c0-32 12-66 46-66z" fill="none" stroke="A" stroke-width="12"/><path d="M62 54l76 40M60 96l78 40M138 54l-76 40M140 96l-78 40" stroke="B" stroke-width="4"/><rect x="76" y="82" width="48" height="30" rx="8" fill="D"/><rect x="84" y="90" width="32" height="8" rx="4" fill="C"/>"##;
const BOOT: &str = r##"<path d="M56 16h58v86l44 16c16 6 22 16 22 32v12H56z" fill="A"/><path d="M56 16h58v22H56z" fill="C"/><path d="M114 56l18-4M114 74l20-4M114 92l22-4" stroke="D" stroke-width="5" stroke-linecap="round"/><path d="M50 160h134v14c0 6-4 10-10 10H60c-6 0-10-4-10-10z" fill="D"/><path d="M56 124h102" stroke="B" stroke-width="6"/>"##;
const SOCK: &str = r##"<path d="M72 18h56v84l34 40c12 16 2 42-20 42-12 0-22-4-30-14l-32-42c-6-8-8-14-8-24z" fill="A"/><path d="M68 14h64v26H68z" fill="C"/><path d="M72 62h56M72 84h56" stroke="B" stroke-width="9"/><path d="M128 102l34 40c8 11 6 26-4 35-18-14-30-38-30-75z" fill="B"/>"##;
const HELMET: &str = r##"<path d="M28 128c0-58 30-98 74-98s72 38 72 92v18H28z" fill="A"/><path d="M60 58c12-14 28-20 44-20" stroke="C" stroke-width="9" fill="none" stroke-linecap="round"/><path d="M96 64h20M92 82h28" stroke="B" stroke-width="8" stroke-linecap="round"/><path d="M28 122h146v24H28z" fill="B"/><path d="M52 146c6 24 22 34 46 34M150 146c-6 24-22 34-46 34" stroke="D" stroke-width="7" fill="none"/>"##;
const GOGGLES: &str = r##"<path d="M8 84h34v34H8zM158 84h34v34h-34z" fill="D"/><path d="M34 66h132c12 0 18 10 18 30 0 26-10 46-34 46-22 0-30-16-50-16s-28 16-50 16c-24 0-34-20-34-46 0-20 6-30 18-30z" fill="B"/><path d="M40 76h120c9 0 13 7 13 20 0 22-8 36-25 36-20 0-26-17-48-17s-28 17-48 17c-17 0-25-14-25-36 0-13 4-20 13-20z" fill="A"/><path d="M48 90h40l-22 28c-12-4-20-14-18-28z" fill="C"/>"##;
const TENT: &str = r##"<path d="M100 34l82 130H18z" fill="A"/><path d="M100 34l82 130h-54z" fill="B"/><path d="M100 78l28 86H72z" fill="D"/><path d="M100 78l10 86H72z" fill="C"/><path d="M100 34V18M18 164l-10 10M182 164l10 10" stroke="D" stroke-width="5" stroke-linecap="round"/>"##;
const PACK: &str = r##"<path d="M78 34c0-28 44-28 44 0" fill="none" stroke="D" stroke-width="8"/><path d="M50 76c0-28 18-44 50-44s50 16 50 44v90c0 12-6 18-18 18H68c-12 0-18-6-18-18z" fill="A"/><path d="M50 96h100v12H50z" fill="B"/><rect x="66" y="120" width="68" height="48" rx="10" fill="B"/><path d="M66 134h68" stroke="C" stroke-width="5"/><rect x="92" y="92" width="16" height="24" rx="4" fill="C"/><path d="M40 100v60M160 100v60" stroke="D" stroke-width="10" stroke-linecap="round"/>"##;
const SUITCASE: &str = r##"<path d="M76 40V20h48v20" fill="none" stroke="D" stroke-width="8"/><rect x="36" y="40" width="128" height="130" rx="16" fill="A"/><path d="M62 40v130M138 40v130" stroke="B" stroke-width="10"/><rect x="80" y="92" width="40" height="26" rx="5" fill="C"/><circle cx="58" cy="180" r="9" fill="D"/><circle cx="142" cy="180" r="9" fill="D"/>"##;
const LANTERN: &str = r##"<path d="M62 58c0-52 76-52 76 0" fill="none" stroke="D" stroke-width="6"/><path d="M72 40h56l10 22H62z" fill="A"/><rect x="66" y="62" width="68" height="84" rx="12" fill="#fff3c9"/><path d="M100 78c18 22 16 46 0 52-16-6-18-30 0-52z" fill="#f2a93b"/><path d="M100 98c8 12 8 24 0 30-8-6-8-18 0-30z" fill="#fff3c9"/><path d="M66 62v84M134 62v84" stroke="B" stroke-width="6"/><path d="M58 146h84l8 30H50z" fill="A"/><path d="M54 162h92" stroke="C" stroke-width="4"/>"##;
const STOVE: &str = r##"<path d="M118 20v44" stroke="D" stroke-width="20"/><rect x="40" y="60" width="120" height="100" rx="14" fill="A"/><rect x="58" y="82" width="84" height="54" rx="8" fill="D"/><path d="M100 88c20 20 16 42 0 46-16-4-20-26 0-46z" fill="#f2a93b"/><path d="M100 108c8 10 7 20 0 24-7-4-8-14 0-24z" fill="#fff3c9"/><path d="M40 148h120" stroke="B" stroke-width="8"/><path d="M60 160v20M140 160v20" stroke="D" stroke-width="12"/>"##;
const AXE: &str = r##"<g transform="rotate(24 100 100)"><path d="M94 30h14l4 160H90z" fill="C"/><path d="M101 30h7l4 160h-11z" fill="B"/><path d="M62 26h56v50H62c-14 10-28 14-40 14 12-24 12-54 0-78 12 0 26 4 40 14z" fill="A"/><path d="M22 12c12 24 12 54 0 78 8 0 16-2 24-5 6-22 6-46 0-68-8-3-16-5-24-5z" fill="#e4e9ed"/></g>"##;
const BOTTLE: &str = r##"<rect x="82" y="14" width="36" height="26" rx="6" fill="D"/><path d="M84 40h32v14c0 10 20 16 20 34v88c0 8-6 14-14 14H78c-8 0-14-6-14-14V88c0-18 20-24 20-34z" fill="A"/><rect x="64" y="104" width="72" height="46" fill="C"/><path d="M82 128l12-16 12 16 8-10 10 16H76z" fill="B"/><path d="M78 84v96" stroke="C" stroke-width="5" opacity=".6"/>"##;
const COAT: &str = r##"<path d="M76 24h48l34 22 26 96-26 8-16-56v92H58V94l-16 56-26-8 26-96z" fill="A"/><path d="M76 24c4 18 44 18 48 0l-8 40H84z" fill="C"/><path d="M100 56v130" stroke="D" stroke-width="5"/><path d="M58 104h84M58 144h84" stroke="B" stroke-width="6"/><circle cx="110" cy="88" r="4" fill="C"/><circle cx="110" cy="124" r="4" fill="C"/><circle cx="110" cy="164" r="4" fill="C"/>"##;
const SWEATER: &str = r##"<path d="M72 30h56l32 20 24 100-28 8-14-54v74H58v-74l-14 54-28-8L40 50z" fill="A"/><path d="M72 30c6 20 50 20 56 0l-6-6H78z" fill="C"/><path d="M50 80l12-14 12 14 13-14 13 14 13-14 13 14 12-14 12 14v14H50z" fill="C"/><path d="M58 164h84v14H58zM24 142l26 8 4-12-26-8zM176 142l-26 8-4-12 26-8z" fill="B"/>"##;
const TROUSERS: &str = r##"<path d="M54 20h92l10 164h-40l-16-104-16 104H44z" fill="A"/><path d="M54 20h92l1 18H53z" fill="D"/><path d="M100 38v42" stroke="B" stroke-width="6"/><path d="M60 48l-4 36M140 48l4 36" stroke="C" stroke-width="5"/><path d="M46 168h38M116 168h38" stroke="B" stroke-width="10"/>"##;
const BEANIE: &str = r##"<circle cx="100" cy="34" r="22" fill="C"/><path d="M36 136c0-58 26-92 64-92s64 34 64 92z" fill="A"/><path d="M66 128c0-44 8-70 34-82M134 128c0-44-8-70-34-82M100 46v82" stroke="B" stroke-width="6" fill="none"/><rect x="28" y="126" width="144" height="40" rx="14" fill="C"/><path d="M50 130v32M72 130v32M94 130v32M116 130v32M138 130v32M158 130v30" stroke="A" stroke-width="5"/>"##;
const MITTEN: &str = r##"<path d="M62 184V76c0-30 16-56 42-56s42 26 42 56v22c6-12 14-22 26-20 14 3 16 20 8 36l-34 50v20z" fill="A"/><path d="M76 70c6-22 16-32 30-32" stroke="C" stroke-width="8" fill="none" stroke-linecap="round"/><path d="M84 100l20-18 20 18-20 18z" fill="C"/><rect x="54" y="154" width="100" height="34" rx="10" fill="B"/><path d="M72 158v26M92 158v26M112 158v26M132 158v26" stroke="C" stroke-width="5"/>"##;
const BLANKET: &str = r##"<path d="M30 60h120c14 0 22 8 22 22v88H52c-14 0-22-8-22-22z" fill="A"/><path d="M30 60h120c-12 4-16 12-16 22v88H52c-14 0-22-8-22-22z" fill="B"/><path d="M30 84h104M30 116h104M34 148h100" stroke="C" stroke-width="7"/><path d="M60 60v110M98 60v110" stroke="A" stroke-width="7"/><path d="M56 170v16M72 170v16M88 170v16M104 170v16M120 170v16M136 170v16M152 170v16M168 170v16" stroke="D" stroke-width="4" stroke-linecap="round"/>"##;
const CANDLE: &str = r##"<path d="M100 20c20 24 18 48 0 54-18-6-20-30 0-54z" fill="#f2a93b"/><path d="M100 44c8 12 8 22 0 26-8-4-8-14 0-26z" fill="#fff3c9"/><path d="M100 70v18" stroke="D" stroke-width="4"/><rect x="56" y="86" width="88" height="96" rx="12" fill="A"/><ellipse cx="100" cy="90" rx="44" ry="12" fill="C"/><rect x="68" y="116" width="64" height="42" rx="6" fill="C"/><path d="M80 130h40M88 144h24" stroke="B" stroke-width="5" stroke-linecap="round"/>"##;
const TREE: &str = r##"<path d="M90 160h20v26H90z" fill="D"/><path d="M100 14l44 58h-22l34 46h-26l36 46H34l36-46H44l34-46H56z" fill="A"/><path d="M100 14l44 58h-22l34 46h-26l36 46h-66z" fill="B"/><circle cx="92" cy="66" r="6" fill="C"/><circle cx="116" cy="96" r="6" fill="#f2c14e"/><circle cx="80" cy="118" r="6" fill="#f2c14e"/><circle cx="124" cy="142" r="6" fill="C"/><circle cx="76" cy="148" r="6" fill="C"/>"##;
const ORNAMENT: &str = r##"<path d="M100 8v26" stroke="D" stroke-width="4"/><rect x="86" y="32" width="28" height="18" rx="4" fill="D"/><circle cx="100" cy="114" r="66" fill="A"/><path d="M36 100c40 22 88 22 128 0l2 26c-42 22-90 22-132 0z" fill="C"/><path d="M54 124l12-10 12 12 12-8 12 10 12-10 12 8 12-10 10 6" stroke="B" stroke-width="5" fill="none"/><path d="M60 84c6-14 16-22 28-26" stroke="C" stroke-width="7" fill="none" stroke-linecap="round"/>"##;
const POT: &str = r##"<path d="M92 40h16v14H92z" fill="D"/><path d="M40 74c0-14 26-24 60-24s60 10 60 24z" fill="B"/><path d="M34 76h132v76c0 16-10 26-26 26H60c-16 0-26-10-26-26z" fill="A"/><path d="M34 96H18v20h16M166 96h16v20h-16" fill="none" stroke="D" stroke-width="8"/><path d="M50 92v54c0 8 4 14 10 18" stroke="C" stroke-width="8" fill="none" stroke-linecap="round"/><path d="M80 30c-8-8 8-12 0-22M120 30c-8-8 8-12 0-22" stroke="C" stroke-width="5" fill="none" stroke-linecap="round"/>"##;
const KNIFE: &str = r##"<g transform="rotate(38 100 100)"><path d="M84 8c26 24 34 70 32 112H84z" fill="#e4e9ed"/><path d="M84 8c10 24 14 70 12 112H84z" fill="#c6d0d8"/><rect x="80" y="118" width="40" height="12" rx="3" fill="D"/><rect x="84" y="130" width="32" height="66" rx="10" fill="A"/><circle cx="100" cy="148" r="4" fill="C"/><circle cx="100" cy="166" r="4" fill="C"/><circle cx="100" cy="184" r="4" fill="C"/></g>"##;
const MUG: &str = r##"<path d="M140 86h18c30 0 30 54 0 54h-18" fill="none" stroke="B" stroke-width="12"/><path d="M36 66h108v88c0 16-10 26-26 26H62c-16 0-26-10-26-26z" fill="A"/><ellipse cx="90" cy="66" rx="54" ry="12" fill="D"/><path d="M54 92v58" stroke="C" stroke-width="8" stroke-linecap="round"/><path d="M68 44c-8-10 8-16 0-28M92 44c-8-10 8-16 0-28M116 44c-8-10 8-16 0-28" stroke="C" stroke-width="6" fill="none" stroke-linecap="round"/>"##;
const KETTLE: &str = r##"<path d="M64 60c0-48 72-48 72 0" fill="none" stroke="D" stroke-width="9"/><circle cx="100" cy="56" r="8" fill="D"/><path d="M56 66h88c22 24 30 60 24 106H32c-6-46 2-82 24-106z" fill="A"/><path d="M160 116c16 0 14-36 32-40" stroke="A" stroke-width="14" fill="none" stroke-linecap="round"/><path d="M58 88c-8 16-10 36-8 58" stroke="C" stroke-width="8" fill="none" stroke-linecap="round"/><path d="M32 160h136v12H32z" fill="B"/>"##;
const HEADPHONES: &str = r##"<path d="M34 124c0-120 132-120 132 0" fill="none" stroke="A" stroke-width="16"/><path d="M46 88c14-52 94-52 108 0" fill="none" stroke="C" stroke-width="5"/><rect x="20" y="108" width="40" height="68" rx="18" fill="B"/><rect x="140" y="108" width="40" height="68" rx="18" fill="B"/><rect x="48" y="114" width="18" height="56" rx="9" fill="D"/><rect x="134" y="114" width="18" height="56" rx="9" fill="D"/>"##;
const SPEAKER: &str = r##"<rect x="44" y="16" width="112" height="168" rx="18" fill="A"/><circle cx="100" cy="62" r="22" fill="D"/><circle cx="100" cy="62" r="9" fill="C"/><circle cx="100" cy="128" r="38" fill="D"/><circle cx="100" cy="128" r="25" fill="B"/><circle cx="100" cy="128" r="11" fill="C"/><path d="M56 30h10M134 30h10" stroke="C" stroke-width="5" stroke-linecap="round"/>"##;
const TURNTABLE: &str = r##"<rect x="16" y="44" width="168" height="124" rx="12" fill="A"/><rect x="28" y="168" width="22" height="12" fill="D"/><rect x="150" y="168" width="22" height="12" fill="D"/><circle cx="84" cy="106" r="50" fill="D"/><circle cx="84" cy="106" r="34" fill="none" stroke="B" stroke-width="3"/><circle cx="84" cy="106" r="16" fill="C"/><circle cx="84" cy="106" r="3" fill="D"/><path d="M160 64v44l-36 30" stroke="C" stroke-width="6" fill="none" stroke-linecap="round"/><circle cx="160" cy="64" r="10" fill="B"/>"##;
const CAMERA: &str = r##"<path d="M62 56l12-22h52l12 22z" fill="B"/><rect x="18" y="54" width="164" height="112" rx="16" fill="A"/><path d="M18 74h164v16H18z" fill="C"/><circle cx="100" cy="112" r="42" fill="D"/><circle cx="100" cy="112" r="28" fill="B"/><circle cx="90" cy="102" r="9" fill="#ffffff" opacity=".8"/><rect x="148" y="98" width="18" height="12" rx="4" fill="C"/>"##;
const FRAME: &str = r##"<rect x="20" y="34" width="160" height="132" rx="8" fill="A"/><rect x="34" y="48" width="132" height="104" fill="#eaf3f8"/><circle cx="134" cy="74" r="12" fill="#f2c14e"/><path d="M34 152l40-56 28 34 22-26 42 48z" fill="B"/><path d="M74 96l12 15-10 8-14-4z" fill="#ffffff"/><path d="M100 48v24c-10-6-16 8-4 12h4v68M34 100h30c6-10-6-16-2-20" stroke="C" stroke-width="3" fill="none" opacity=".8"/>"##;
const TRAIN: &str = r##"<rect x="30" y="64" width="56" height="72" rx="6" fill="A"/><rect x="40" y="74" width="36" height="28" rx="4" fill="C"/><rect x="24" y="52" width="68" height="14" rx="5" fill="D"/><path d="M86 92h74c12 0 20 8 20 22v22H86z" fill="B"/><path d="M138 92V60h22v32" fill="D"/><circle cx="150" cy="44" r="10" fill="C"/><circle cx="166" cy="28" r="13" fill="C"/><circle cx="54" cy="150" r="22" fill="D"/><circle cx="54" cy="150" r="9" fill="C"/><circle cx="112" cy="154" r="17" fill="D"/><circle cx="112" cy="154" r="7" fill="C"/><circle cx="156" cy="154" r="17" fill="D"/><circle cx="156" cy="154" r="7" fill="C"/>"##;
const BLOCKS: &str = r##"<rect x="22" y="112" width="72" height="72" rx="8" fill="A"/><rect x="104" y="112" width="72" height="72" rx="8" fill="B"/><rect x="62" y="32" width="72" height="72" rx="8" fill="C"/><path d="M58 128l18 40H40z" fill="C"/><circle cx="140" cy="148" r="20" fill="A"/><path d="M84 54h28v28H84z" fill="D"/>"##;
const HOUSE: &str = r##"<path d="M100 16l84 68H16z" fill="B"/><rect x="30" y="82" width="140" height="102" fill="A"/><path d="M100 16l84 68h-22L100 34 38 84H16z" fill="#ffffff"/><rect x="84" y="128" width="32" height="56" rx="14" fill="D"/><rect x="46" y="100" width="28" height="28" fill="#ffe9a8"/><rect x="126" y="100" width="28" height="28" fill="#ffe9a8"/><path d="M60 100v28M46 114h28M140 100v28M126 114h28" stroke="D" stroke-width="3"/><circle cx="100" cy="66" r="12" fill="#ffe9a8"/>"##;
const BEAR: &str = r##"<circle cx="58" cy="46" r="24" fill="A"/><circle cx="142" cy="46" r="24" fill="A"/><circle cx="58" cy="46" r="12" fill="C"/><circle cx="142" cy="46" r="12" fill="C"/><ellipse cx="100" cy="152" rx="56" ry="40" fill="A"/><ellipse cx="100" cy="156" rx="34" ry="28" fill="C"/><circle cx="100" cy="82" r="56" fill="A"/><ellipse cx="100" cy="102" rx="28" ry="22" fill="C"/><circle cx="80" cy="74" r="6" fill="D"/><circle cx="120" cy="74" r="6" fill="D"/><ellipse cx="100" cy="94" rx="9" ry="6" fill="D"/><path d="M100 100v8c-6 8-14 6-16 2M100 108c6 8 14 6 16 2" stroke="D" stroke-width="3" fill="none"/>"##;
const KITE: &str = r##"<path d="M110 10l56 56-56 84-56-84z" fill="A"/><path d="M110 10l56 56h-56zM54 66h56v84z" fill="B"/><path d="M110 10v140M54 66h112" stroke="C" stroke-width="4"/><path d="M110 150c-10 14 10 20-4 32s-34 2-52 12" stroke="D" stroke-width="4" fill="none"/><path d="M94 168l-12-8 2 16zM72 186l-12-10 2 16z" fill="C"/>"##;
const JAR: &str = r##"<rect x="52" y="36" width="96" height="28" rx="8" fill="D"/><path d="M60 44v12M76 44v12M92 44v12M108 44v12M124 44v12M140 44v12" stroke="B" stroke-width="3"/><rect x="44" y="64" width="112" height="116" rx="20" fill="A"/><rect x="44" y="92" width="112" height="60" fill="C"/><path d="M78 136c0-24 10-34 22-34s22 10 22 34M100 102v42" stroke="B" stroke-width="5" fill="none" stroke-linecap="round"/><path d="M56 76v8M56 160v8" stroke="C" stroke-width="6" stroke-linecap="round"/>"##;
const SOAP: &str = r##"<rect x="24" y="84" width="118" height="74" rx="16" fill="A"/><path d="M142 100c12-10 32-6 32 10v44c0 16-20 20-32 10z" fill="B"/><rect x="44" y="102" width="78" height="38" rx="12" fill="C"/><path d="M60 130c6-18 14-18 20-6s14 10 22-8" stroke="B" stroke-width="5" fill="none" stroke-linecap="round"/><circle cx="62" cy="56" r="14" fill="C"/><circle cx="94" cy="40" r="20" fill="C" opacity=".7"/><circle cx="128" cy="60" r="11" fill="C"/>"##;
const CHAIR: &str = r##"<path d="M58 20l16 90h60l16-90z" fill="A"/><path d="M66 60h76" stroke="C" stroke-width="6"/><path d="M62 106h84c10 0 14 8 10 16l-6 12H54l-8-12c-4-8 4-16 16-16z" fill="B"/><path d="M60 134l88 52M148 134l-88 52" stroke="D" stroke-width="9" stroke-linecap="round"/><path d="M52 16l12 118M156 16l-12 118" stroke="D" stroke-width="7" stroke-linecap="round"/>"##;
const GIFT: &str = r##"<rect x="28" y="84" width="144" height="98" rx="8" fill="A"/><rect x="20" y="60" width="160" height="34" rx="7" fill="B"/><path d="M88 60h24v122H88z" fill="C"/><path d="M100 58C84 12 40 14 50 42c4 12 30 16 50 16 20 0 46-4 50-16 10-28-34-30-50 16z" fill="none" stroke="C" stroke-width="12"/>"##;
const BOOK: &str = r##"<path d="M40 30h108c8 0 12 4 12 12v142H52c-10 0-16-6-16-16V34z" fill="B"/><path d="M52 156h108v28H52c-18 0-18-28 0-28z" fill="#f6f1e4"/><path d="M52 16h108v132H52c-8 0-16 4-16 14V32c0-10 6-16 16-16z" fill="A"/><path d="M58 16v132" stroke="B" stroke-width="5"/><path d="M78 52h62M78 68h46" stroke="C" stroke-width="7" stroke-linecap="round"/><path d="M108 92l22 34H86z" fill="C"/>"##;
