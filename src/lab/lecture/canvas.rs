//! An SVG 1.1 picture that needs nothing else: no script, no style sheet, no font of its own.

use std::fmt::Write as _;

use crate::lab::text::xml;

/// The width of every picture. A slide shows it whole.
pub(super) const WIDTH: f64 = 1280.0;

/// The size of the text, in the same unit: a slide needs at least 14.
pub(super) const SIZE: f64 = 15.0;

/// A colour on light paper, and the same on dark. Each has a contrast of at least 4.5 to the paper.
pub(super) type Colour = [&'static str; 2];

pub(super) const PAPER: Colour = ["#ffffff", "#12161c"];
pub(super) const INK: Colour = ["#1b1f24", "#e9ecf0"];
pub(super) const PALE: Colour = ["#59636e", "#a3adb9"];
pub(super) const COMMAND: Colour = ["#0a58ca", "#74b3ff"];
pub(super) const HEADER: Colour = ["#9a5700", "#f2b75c"];
pub(super) const PAYLOAD: Colour = ["#1a7f37", "#62d58d"];
pub(super) const REPLY: Colour = ["#8228a8", "#dca6f5"];
pub(super) const BROKEN: Colour = ["#c81e1e", "#ff7b72"];

/// How a text is drawn.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: Colour,
    pub(super) anchor: &'static str,
    pub(super) size: f64,
    pub(super) is_bold: bool,
    /// The text is bytes.
    pub(super) is_code: bool,
    /// Clockwise, in degrees.
    pub(super) turn: f64,
    /// Lines below it end before the letters.
    pub(super) has_halo: bool,
}

impl Style {
    pub(super) const fn new(colour: Colour) -> Style {
        let (anchor, size) = ("start", SIZE);
        Style { colour, anchor, size, is_bold: false, is_code: false, turn: 0.0, has_halo: false }
    }

    pub(super) fn middle(self) -> Style {
        Style { anchor: "middle", ..self }
    }

    pub(super) fn end(self) -> Style {
        Style { anchor: "end", ..self }
    }

    /// From its place on to the right if this is positive, else to the left.
    pub(super) fn towards(self, way: f64) -> Style {
        if way > 0.0 { self } else { self.end() }
    }

    pub(super) fn bold(self, size: f64) -> Style {
        Style { is_bold: true, size, ..self }
    }

    pub(super) fn code(self) -> Style {
        Style { is_code: true, ..self }
    }
}

/// A line's colour, width and dashes.
#[derive(Clone, Copy)]
pub(super) struct Pen(pub(super) Colour, pub(super) f64, pub(super) &'static str);

/// What has been drawn.
pub(super) struct Canvas {
    svg: String,
    is_dark: bool,
}

impl Canvas {
    pub(super) fn new(is_dark: bool) -> Canvas {
        Canvas { svg: String::new(), is_dark }
    }

    fn shade(&self, [light, dark]: Colour) -> &'static str {
        if self.is_dark { dark } else { light }
    }

    pub(super) fn text(&mut self, x: f64, y: f64, style: Style, text: &str) {
        let Style { colour, anchor, size, is_bold, is_code, turn, has_halo } = style;
        let font = if is_code {
            "DejaVu Sans Mono, Consolas, Menlo, monospace"
        } else {
            "Helvetica, Arial, DejaVu Sans, sans-serif"
        };
        let bold = if is_bold { " font-weight=\"bold\"" } else { "" };
        let turn = if turn == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({turn:.2} {x:.1} {y:.1})\"")
        };
        let open = format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-family=\"{font}\" \
             font-size=\"{size}\"{bold}{turn} xml:space=\"preserve\""
        );
        let text = xml(text);
        if has_halo {
            let paper = self.shade(PAPER);
            let around = format!("stroke=\"{paper}\" stroke-width=\"5\" stroke-linejoin=\"round\"");
            let _ = writeln!(self.svg, "{open} fill=\"{paper}\" {around}>{text}</text>");
        }
        let _ = writeln!(self.svg, "{open} fill=\"{}\">{text}</text>", self.shade(colour));
    }

    /// A line through these points.
    pub(super) fn line(&mut self, points: &[(f64, f64)], Pen(colour, width, dashes): Pen) {
        let colour = self.shade(colour);
        let dashes = if dashes.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{dashes}\"")
        };
        let _ = writeln!(
            self.svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"{dashes}/>",
            list(points)
        );
    }

    pub(super) fn area(&mut self, points: &[(f64, f64)], colour: Colour) {
        let colour = self.shade(colour);
        let _ = writeln!(self.svg, "<polygon points=\"{}\" fill=\"{colour}\"/>", list(points));
    }

    pub(super) fn rectangle(
        &mut self,
        (x, y): (f64, f64),
        width: f64,
        height: f64,
        colour: Colour,
    ) {
        let colour = self.shade(colour);
        let _ = writeln!(
            self.svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{colour}\"/>"
        );
    }

    /// The whole picture, on painted paper of this width and height. What was drawn is in the middle.
    pub(super) fn finish(self, (width, height): (f64, f64), title: &str, about: &str) -> String {
        let paper = self.shade(PAPER);
        let (title, about, left) = (xml(title), xml(about), (WIDTH - width) / 2.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"{width:.0}\" \
             height=\"{height:.0}\" viewBox=\"{left:.0} 0 {width:.0} {height:.0}\" role=\"img\">\n\
             <title>{title}</title>\n<desc>{about}</desc>\n\
             <rect x=\"{left:.0}\" y=\"0\" width=\"{width:.0}\" height=\"{height:.0}\" \
             fill=\"{paper}\"/>\n{}</svg>\n",
            self.svg
        )
    }
}

fn list(points: &[(f64, f64)]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_sent_is_not_markup() {
        assert_eq!(
            xml("<a b=\"&\">'\u{1}\u{ffff}"),
            "&lt;a b=&quot;&amp;&quot;&gt;'\u{fffd}\u{fffd}"
        );
        let mut canvas = Canvas::new(false);
        canvas.text(0.0, 0.0, Style::new(INK), "</text><script>");
        let picture = canvas.finish((WIDTH, 10.0), "</title><script>", "<script>");
        assert!(!picture.contains("<script"), "{picture}");
    }

    #[test]
    fn every_colour_can_be_read_on_its_paper() {
        let light = |colour: &str| {
            let channel = |n: usize| {
                let hex = colour.get(n..n + 2).unwrap();
                let value = f64::from(u8::from_str_radix(hex, 16).unwrap()) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        for colour in [INK, PALE, COMMAND, HEADER, PAYLOAD, REPLY, BROKEN] {
            for (colour, paper) in colour.into_iter().zip(PAPER) {
                let (one, other) = (light(paper), light(colour));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "{colour} on {paper}: {contrast}");
            }
        }
    }
}
