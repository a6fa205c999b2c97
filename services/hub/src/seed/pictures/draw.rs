//! From a name to a picture: a scene in the colours of the category, the thing in its own, and its name.
//!
//! The same name always gives the same picture, so seeding again changes nothing.

use std::{collections::hash_map::DefaultHasher, fmt::Write, hash::Hasher};

use super::{
    motifs::motif,
    palette::{Scene, mix, paint_of, scene_of},
};

/// Longest line of a caption, in letters.
const LINE: usize = 26;
const SHADE: &str = "#14202b";
const LIGHT: &str = "#ffffff";

/// What a picture is of.
pub(super) struct Subject<'a> {
    /// What is read to those who cannot see it.
    pub title: &'a str,
    /// Written below the thing.
    pub caption: &'a str,
    /// Written above it, smaller.
    pub over: &'a str,
    /// Slug of the category.
    pub category: &'a str,
    /// Colours in which it is shown, as variants name them; none: the category's.
    pub colors: Vec<&'a str>,
}

/// The picture as SVG.
pub(super) fn draw(subject: &Subject<'_>) -> String {
    let scene = scene_of(subject.category);
    let mut random = Numbers::of(subject.title);
    let mut svg = String::with_capacity(6 * 1024);
    let title = escaped(subject.title);
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 800\" role=\"img\" \
         aria-labelledby=\"title\"><title id=\"title\">{title}</title>"
    );
    backdrop(&mut svg, &scene, &mut random);
    things(&mut svg, subject, &scene, &mut random);
    captions(&mut svg, subject, &scene);
    svg.push_str("</svg>\n");
    svg
}

fn backdrop(svg: &mut String, scene: &Scene, random: &mut Numbers) {
    let [top, horizon] = scene.sky;
    let [front, back] = scene.ground;
    let (sun_x, sun_y) = (180 + random.below(440), 150 + random.below(90));
    let (left, right) = (430 + random.below(90), 430 + random.below(90));
    let _ = write!(
        svg,
        "<defs><linearGradient id=\"sky\" x2=\"0\" y2=\"1\"><stop stop-color=\"{top}\"/>\
         <stop offset=\"1\" stop-color=\"{horizon}\"/></linearGradient></defs>\
         <rect width=\"800\" height=\"800\" fill=\"url(#sky)\"/>\
         <circle cx=\"{sun_x}\" cy=\"{sun_y}\" r=\"120\" fill=\"#fff\" opacity=\".55\"/>\
         <path d=\"M0 {left}q200-110 400-10t400-20V800H0z\" fill=\"{back}\"/>\
         <path d=\"M0 {}q220 80 430 10t370 {}V800H0z\" fill=\"{front}\"/>",
        right + 110,
        random.below(60)
    );
    for _ in 0..18 {
        let (x, y, size) = (random.below(800), random.below(520), 3 + random.below(5));
        let _ = write!(
            svg,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{size}\" fill=\"#fff\" opacity=\".8\"/>"
        );
    }
}

fn things(svg: &mut String, subject: &Subject<'_>, scene: &Scene, random: &mut Numbers) {
    let shape = motif(subject.caption, subject.category);
    let mut paints: Vec<&str> = subject
        .colors
        .iter()
        .filter_map(|color| paint_of(color))
        .collect();
    paints.dedup();
    paints.truncate(4);
    if paints.is_empty() {
        paints.push(scene.paint);
    }
    // One in the middle, several side by side.
    let count = u32::try_from(paints.len()).unwrap_or(1);
    let size = [400, 300, 236, 184][paints.len().clamp(1, 4) - 1];
    let gap = 12;
    let width = size * count + gap * (count - 1);
    let lean = random.below(9) as i32 - 4;
    for (place, paint) in (0u32..).zip(paints) {
        let x = (800 - width) / 2 + place * (size + gap);
        let y = 560 - size;
        let (middle, foot) = (x + size / 2, y + size - 6);
        let _ = write!(
            svg,
            "<ellipse cx=\"{middle}\" cy=\"{foot}\" rx=\"{}\" ry=\"{}\" fill=\"{SHADE}\" opacity=\".16\"/>\
             <g transform=\"translate({x} {y}) scale({}) rotate({lean} 100 180)\">{}</g>",
            size * 2 / 5,
            size / 18,
            f64::from(size) / 200.0,
            painted(shape, paint),
        );
    }
}

/// The shape with colours for its letters.
fn painted(shape: &str, paint: &str) -> String {
    shape
        .replace("\"A\"", &format!("\"{paint}\""))
        .replace("\"B\"", &format!("\"{}\"", mix(paint, SHADE, 35)))
        .replace("\"C\"", &format!("\"{}\"", mix(paint, LIGHT, 62)))
        .replace("\"D\"", &format!("\"{}\"", mix(SHADE, paint, 25)))
}

fn captions(svg: &mut String, subject: &Subject<'_>, scene: &Scene) {
    let ink = scene.ink;
    let lines = wrapped(subject.caption);
    let first = if lines.len() > 1 { 660 } else { 684 };
    let _ = write!(
        svg,
        "<g fill=\"{ink}\" text-anchor=\"middle\" font-family=\"Georgia, 'Times New Roman', serif\">\
         <text x=\"400\" y=\"84\" font-size=\"30\" letter-spacing=\"6\" opacity=\".75\">{}</text>",
        escaped(&subject.over.to_uppercase())
    );
    for (row, line) in lines.iter().enumerate() {
        let _ = write!(
            svg,
            "<text x=\"400\" y=\"{}\" font-size=\"46\">{}</text>",
            first + row * 56,
            escaped(line)
        );
    }
    svg.push_str("</g>");
}

/// At most two lines; what is left over goes with the second.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len() + word.len() >= LINE);
        if full && lines.len() < 2 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Numbers that follow from a text (SplitMix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        Self(hasher.finish())
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::from(bound)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'a>(title: &'a str, colors: Vec<&'a str>) -> Subject<'a> {
        Subject {
            title,
            caption: "Comet & Foam Racer",
            over: "Drifthorn",
            category: "winter-sports",
            colors,
        }
    }

    #[test]
    fn a_picture_follows_from_its_subject() {
        let one = draw(&subject("Comet <1>", vec![]));
        assert_eq!(one, draw(&subject("Comet <1>", vec![])));
        assert_ne!(one, draw(&subject("Comet 2", vec![])));
        assert!(one.contains("<title id=\"title\">Comet &lt;1&gt;</title>"));
        assert!(one.contains("Comet &amp; Foam Racer"));
        for letter in ["\"A\"", "\"B\"", "\"C\"", "\"D\""] {
            assert!(!one.contains(letter), "{letter}");
        }
    }

    #[test]
    fn every_colour_is_shown() {
        let both = draw(&subject("t", vec!["Signal Red", "Ice Blue"]));
        assert!(both.contains("#c62f2d") && both.contains("#8fc3e0"));
        assert_eq!(both.matches("<ellipse cx").count(), 2);
    }

    #[test]
    fn captions_have_two_lines_at_most() {
        assert_eq!(wrapped("Short name"), ["Short name"]);
        assert_eq!(
            wrapped("The Longest Night: Stories for Twelve Evenings").len(),
            2
        );
    }
}
