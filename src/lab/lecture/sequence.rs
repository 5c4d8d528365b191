//! Draws recorded connections as the textbooks do: two lifelines, an arrow for the bytes of each call, time
//! running down. A pure function from tapes to SVG.

use std::collections::BTreeMap;
use std::time::Duration;

use super::canvas::{
    BROKEN, COMMAND, Canvas, Colour, HEADER, INK, PALE, PAPER, PAYLOAD, Pen, REPLY, SIZE, Style,
    WIDTH,
};
use super::flights::{Bracket, Conversation, pair};
use super::kernel::{CLOSED, LISTEN, Row, TIME_WAIT};
use super::record::{Arrow, Mark, Part, Tape};
use super::trace::{Connection, Side, ending, show};
use crate::lab::text::said;
use crate::lang::{Lang, Msg};

/// Where the lifelines and the time axis are.
const CLIENT: f64 = 384.0;
const SERVER: f64 = 896.0;
const AXIS: f64 = 104.0;

/// Where the lifeline of a side is, and which way leads out from between the two: 1 is to the right.
fn lifeline(side: Side) -> (f64, f64) {
    if side == Side::Client { (CLIENT, -1.0) } else { (SERVER, 1.0) }
}

/// The width of a slide for each unit of its height.
const SLIDE: f64 = 16.0 / 9.0;

/// The height of a line of text.
const LINE: f64 = 20.0;

/// The least height between two points in time.
const STEP: f64 = 26.0;

/// A gap that would be drawn higher than this is folded.
const FOLD: f64 = STEP * 4.0;

/// The width of a character in a label, or somewhat more.
const LETTER: f64 = 9.1;

/// A text, and one that explains.
const TEXT: Style = Style::new(INK);
const NOTE: Style = Style::new(PALE);

/// The messages that are named where one read brings many.
const MOST_NAMED: usize = 6;

/// Where the points in time of a connection are on the paper.
#[derive(Default)]
struct Scale {
    heights: BTreeMap<Duration, f64>,
    /// Where a gap is folded, and how long it is.
    folds: Vec<(f64, Duration)>,
    bottom: f64,
}

impl Scale {
    /// `lines` are the lines of text that a point needs below it.
    fn new(lines: &BTreeMap<Duration, usize>, top: f64) -> Scale {
        let next = lines.keys().skip(1).chain(lines.keys().last());
        let gaps = next.zip(lines.keys()).map(|(next, time)| next.saturating_sub(*time));
        let gaps: Vec<Duration> = gaps.collect();
        let mut sorted = gaps.split_last().map_or(Vec::new(), |(_, between)| between.to_vec());
        sorted.sort_unstable();
        // Of all gaps, two fifths are as high as the lowest.
        let unit = sorted.get(sorted.len() * 2 / 5).map_or(1.0, Duration::as_secs_f64).max(1e-9);
        let (mut heights, mut folds, mut y) = (BTreeMap::new(), Vec::new(), top);
        for ((time, lines), gap) in lines.iter().zip(gaps) {
            heights.insert(*time, y);
            let true_height = gap.as_secs_f64() / unit * STEP;
            let text = if *lines > 1 { *lines as f64 * LINE + 10.0 } else { STEP };
            if true_height > FOLD {
                folds.push((y + text + 20.0, gap));
                y += text + 50.0;
            } else {
                y += true_height.max(text);
            }
        }
        Scale { heights, folds, bottom: y + 6.0 }
    }

    fn at(&self, time: Duration) -> f64 {
        self.heights.get(&time).copied().unwrap_or_default()
    }
}

/// Draws the connections, one below the other. `left_out` more sides of connections were not recorded. With a
/// title, it is a slide.
pub(super) fn draw(
    tapes: &[Tape],
    left_out: u64,
    title: Option<&str>,
    lang: Lang,
    is_dark: bool,
) -> String {
    let conversations = pair(tapes);
    let mut sheet = Sheet { canvas: Canvas::new(is_dark), lang, y: 0.0, scale: Scale::default() };
    let is_slide = title.is_some();
    let session = said("session", &[]).say(lang);
    let title = title.unwrap_or(&session);
    sheet.head(title);
    if !is_slide {
        sheet.explain(&conversations);
    }
    for (n, conversation) in conversations.iter().enumerate() {
        sheet.conversation(n + 1, conversation);
    }
    if left_out > 0 {
        sheet.sentence(&said("connections-left-out", &[&left_out]));
    }
    if conversations.is_empty() {
        sheet.sentence(&said("no-connection", &[]));
    }
    let about = said("ladder", &[&conversations.len()]);
    let height = sheet.y + 16.0;
    let width = if is_slide { SLIDE * height.max(WIDTH / SLIDE) } else { WIDTH };
    let height = if is_slide { width / SLIDE } else { height };
    sheet.canvas.finish((width, height), title, &about.say(lang))
}

fn milliseconds(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    let digits = if millis < 100_000.0 { 3 } else { 0 };
    format!("{millis:.digits$}")
}

/// The corners of a figure.
type Corners = &'static [(f64, f64)];

/// How a part of a conversation is drawn: its word in both languages, its pen, and its sign. The dashes and the sign are for
/// those who see no colours, and for a copier.
fn look(part: Part) -> ((&'static str, &'static str), Pen, Corners) {
    const SQUARE: Corners = &[(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)];
    const DIAMOND: Corners = &[(-7.0, 0.0), (0.0, -7.0), (7.0, 0.0), (0.0, 7.0)];
    const HEXAGON: Corners =
        &[(-7.0, 0.0), (-3.5, -6.0), (3.5, -6.0), (7.0, 0.0), (3.5, 6.0), (-3.5, 6.0)];
    const TRIANGLE: Corners = &[(-7.0, 6.0), (0.0, -6.0), (7.0, 6.0)];
    match part {
        Part::Command => (("command", "perintah"), Pen(COMMAND, 2.5, ""), SQUARE),
        Part::Header => (("header", "header"), Pen(HEADER, 2.5, "8 4"), DIAMOND),
        Part::Payload => (("payload", "isi"), Pen(PAYLOAD, 4.5, ""), HEXAGON),
        Part::Reply => (("reply", "jawaban"), Pen(REPLY, 2.5, "10 3 2 3"), TRIANGLE),
    }
}

/// The picture as far as it is drawn: down to `y`.
struct Sheet {
    canvas: Canvas,
    lang: Lang,
    y: f64,
    /// That of the connection which is drawn.
    scale: Scale,
}

impl Sheet {
    fn sentence(&mut self, text: &Msg) {
        self.y += LINE;
        self.canvas.text(24.0, self.y, NOTE, &text.say(self.lang));
    }

    fn head(&mut self, title: &str) {
        // A title is a command after its prompt, which can be on a line of its own.
        self.canvas.text(24.0, 36.0, TEXT.bold(22.0), &title.replace('\n', " "));
        let mut x = 24.0;
        for part in [Part::Command, Part::Header, Part::Payload, Part::Reply] {
            let ((english, indonesian), pen, sign) = look(part);
            let word = self.lang.choose(english, indonesian);
            self.canvas.line(&[(x, 62.0), (x + 56.0, 62.0)], pen);
            self.canvas.area(&around(x + 72.0, 62.0, sign), pen.0);
            self.canvas.text(x + 88.0, 67.0, TEXT, word);
            x += 120.0 + word.len() as f64 * LETTER;
        }
        self.y = 76.0;
    }

    fn explain(&mut self, conversations: &[Conversation<'_>]) {
        if conversations.iter().any(|it| it.tapes.len() == 2) {
            self.sentence(&said("both-sides", &[]));
        }
        if conversations.iter().any(|it| it.tapes.len() == 1) {
            self.sentence(&said("one-side", &[]));
        }
        if !conversations.is_empty() {
            self.sentence(&said("gaps", &[]));
        }
        if conversations.iter().flat_map(|it| &it.tapes).any(|tape| !tape.rows.is_empty()) {
            self.sentence(&said("band", &[]));
        }
    }

    fn conversation(&mut self, number: usize, it: &Conversation<'_>) {
        let Some(tape) = it.tapes.first() else { return };
        let Connection { dialect, client, server, .. } = tape.connection;
        self.y += 20.0;
        let rule = [(24.0, self.y), (WIDTH - 24.0, self.y)];
        self.canvas.line(&rule, Pen(PALE, 1.0, ""));
        let title = format!("{} {number}: {dialect}", self.lang.choose("Connection", "Koneksi"));
        self.canvas.text(24.0, self.y + 26.0, TEXT.bold(18.0), &title);
        for (x, word, address) in [(CLIENT, "client", client), (SERVER, "server", server)] {
            self.canvas.text(x, self.y + 50.0, TEXT.middle().bold(SIZE), word);
            self.canvas.text(x, self.y + 70.0, TEXT.middle().code(), &address.to_string());
        }
        self.canvas.text(AXIS - 12.0, self.y + 70.0, NOTE.end(), "ms");
        let top = self.y + 80.0;
        let began = it.tapes.iter().map(|tape| tape.began).min().unwrap_or_default();
        let arrows = it.arrows.iter().flat_map(|arrow| [arrow.start, arrow.end]);
        let marks = it.marks().map(|(_, (at, _))| *at);
        let rows = it.tapes.iter().flat_map(|tape| tape.rows.iter().map(|(at, _)| *at));
        let times = [began].into_iter().chain(arrows).chain(marks).chain(rows);
        let mut lines: BTreeMap<_, _> = times.map(|time| (time, 1)).collect();
        for ((_, time), messages) in &it.complete {
            let most = (*messages).min(MOST_NAMED + 1);
            lines.entry(*time).and_modify(|lines| *lines = most.max(*lines));
        }
        self.scale = Scale::new(&lines, top + 22.0);
        self.lifelines(top, began);
        for tape in &it.tapes {
            self.band(tape);
        }
        for arrow in &it.arrows {
            self.arrow(it, arrow);
        }
        for bracket in &it.brackets {
            self.bracket(it, bracket);
        }
        for arrow in &it.arrows {
            self.label(it, arrow);
        }
        for (tape, (at, mark)) in it.marks() {
            self.mark(tape.side(), self.scale.at(*at), mark);
        }
        self.y = self.scale.bottom;
        let left_out: u64 = it.tapes.iter().map(|tape| tape.left_out).sum();
        if left_out > 0 {
            self.sentence(&said("events-left-out", &[&left_out]));
        }
    }

    fn lifelines(&mut self, top: f64, began: Duration) {
        for (x, pen) in
            [(CLIENT, Pen(INK, 2.0, "")), (SERVER, Pen(INK, 2.0, "")), (AXIS, Pen(PALE, 1.0, ""))]
        {
            self.canvas.line(&[(x, top), (x, self.scale.bottom)], pen);
            for (y, _) in &self.scale.folds {
                self.canvas.rectangle((x - 8.0, y - 8.0), 16.0, 16.0, PAPER);
                let steps = [(0.0, -8.0), (-7.0, -4.0), (7.0, 4.0), (0.0, 8.0)];
                self.canvas.line(&around(x, *y, &steps), pen);
            }
        }
        for (y, gap) in &self.scale.folds {
            let text = said("skipped", &[&milliseconds(*gap)]).say(self.lang);
            self.canvas.text(AXIS + 14.0, y + 5.0, NOTE, &text);
        }
        for (time, y) in &self.scale.heights {
            self.canvas.line(&[(AXIS - 5.0, *y), (AXIS + 5.0, *y)], Pen(PALE, 1.0, ""));
            let text = milliseconds(time.saturating_sub(began));
            self.canvas.text(AXIS - 12.0, y + 5.0, NOTE.end(), &text);
        }
    }

    /// The states of a socket beside its lifeline, and where one begins, what the kernel says.
    fn band(&mut self, tape: &Tape) {
        let (edge, out) = lifeline(tape.side());
        let (x, room) = if out < 0.0 { (edge - 8.0, 27) } else { (edge + 2.0, 38) };
        let mut ends = tape.rows.iter().filter(|(_, row)| row.state != LISTEN).map(|(at, _)| *at);
        ends.next();
        let mut last = "";
        for (at, row) in &tape.rows {
            let y = self.scale.at(*at);
            let colour = Sheet::colour(row);
            if row.state != LISTEN {
                let end = ends.next().map_or(self.scale.bottom, |end| self.scale.at(end));
                if *row != CLOSED {
                    self.canvas.rectangle((x, y), 6.0, end - y, colour);
                }
            }
            // There is little room: only a new state is named. The retransmission timer runs as long as anything is out:
            // alone, its name would look as if something had been sent again.
            let text = row.to_string().replace(" timer retransmit", "").replace("timer ", "");
            let rest = text.strip_prefix(row.state).filter(|_| row.state == last);
            let text = show(rest.unwrap_or(&text).trim_start().as_bytes(), room);
            let style = Style::new(colour).code().towards(out);
            self.canvas.text(edge + 28.0 * out, y + 5.0, style, &text);
            last = row.state;
        }
    }

    /// Open, on its way to the end, or without an answer: the window is zero, or a timer has ended.
    fn colour(row: &Row) -> Colour {
        match row.state {
            LISTEN | TIME_WAIT | "CLOSED" => PALE,
            _ if row.timer == Some("probe") || row.timeouts > 0 => BROKEN,
            "ESTABLISHED" => PAYLOAD,
            _ => HEADER,
        }
    }

    /// From where to where an arrow leads.
    fn ends(&self, arrow: &Arrow) -> ((f64, f64), (f64, f64)) {
        let ((from, _), (to, _)) = (lifeline(arrow.by), lifeline(arrow.by.other()));
        let start = (from, self.scale.at(arrow.start));
        if arrow.is_lost {
            return (start, (f64::midpoint(from, to), start.1 + 8.0));
        }
        (start, (to, self.scale.at(arrow.end)))
    }

    fn arrow(&mut self, it: &Conversation<'_>, arrow: &Arrow) {
        let ((x0, y0), (x1, y1)) = self.ends(arrow);
        let mut pens: Vec<_> = it.parts_of(arrow).into_iter().map(|part| look(part).1).collect();
        if pens.is_empty() {
            // The end of a direction is dotted. Of other bytes it is not known what they are.
            let dashes = if arrow.is_end() { "3 4" } else { "" };
            pens.push(Pen(INK, 1.5, dashes));
        }
        let length = (x1 - x0).hypot(y1 - y0);
        let (right, down) = ((x1 - x0) / length, (y1 - y0) / length);
        let back =
            |by: f64, aside: f64| (x1 - right * by - down * aside, y1 - down * by + right * aside);
        // From left to right, as one reads the bytes.
        let (tail, neck) = ((x0, y0), back(12.0, 0.0));
        let (left, right) = if x0 < x1 { (tail, neck) } else { (neck, tail) };
        let share = |n: usize| n as f64 / pens.len() as f64;
        let point =
            |share: f64| (left.0 + (right.0 - left.0) * share, left.1 + (right.1 - left.1) * share);
        for (n, pen) in pens.iter().enumerate() {
            self.canvas.line(&[point(share(n)), point(share(n + 1))], *pen);
        }
        let colour = if x0 < x1 { pens.last() } else { pens.first() }.map_or(INK, |pen| pen.0);
        self.canvas.area(&[(x1, y1), back(14.0, 6.0), back(14.0, -6.0)], colour);
        let is_end = arrow.is_end();
        if (is_end && it.is_cut(arrow.by)) || (!is_end && arrow.is_lost) {
            let x = if arrow.is_lost { x1 } else { x0 + (x1 - x0) * 0.35 };
            self.cross(x, y0 + (y1 - y0) * (x - x0) / (x1 - x0));
        }
    }

    fn cross(&mut self, x: f64, y: f64) {
        let pen = Pen(BROKEN, 4.0, "");
        self.canvas.line(&[(x - 9.0, y - 9.0), (x + 9.0, y + 9.0)], pen);
        self.canvas.line(&[(x - 9.0, y + 9.0), (x + 9.0, y - 9.0)], pen);
    }

    /// The bytes of an arrow, above it. Where several arrows meet, on it, at its other end.
    fn label(&mut self, it: &Conversation<'_>, arrow: &Arrow) {
        let ((x0, y0), (x1, y1)) = self.ends(arrow);
        let is_end = arrow.is_end();
        let is_cut = is_end && it.is_cut(arrow.by);
        let others = || it.arrows.iter().filter(|it| it.by == arrow.by && it.from < it.to);
        let is_alone = is_end || arrow.is_lost;
        let comes_apart = others().filter(|it| it.start == arrow.start).count() > 1 && !is_alone;
        let leaves_apart = others().filter(|it| it.end == arrow.end).count() > 1 && !is_alone;
        let slope = (y1 - y0) / (x1 - x0);
        // A text that is turned further is hard to read.
        let is_steep = slope.abs() > 0.6;
        let is_aside = comes_apart || leaves_apart || is_steep;
        // That many letters are as long as its line.
        let room: usize = match (is_aside, arrow.is_lost) {
            (true, _) => 22,
            (_, true) => 23,
            _ => 51,
        };
        let style = match it.parts_of(arrow).as_slice() {
            _ if is_cut => Style::new(BROKEN),
            [part] => Style::new(look(*part).1.0).code(),
            _ => TEXT.code(),
        };
        let text = if is_end {
            said(if is_cut { "cut" } else { "end" }, &[]).say(self.lang)
        } else {
            let name = if arrow.is_lost { "bytes-not-read" } else { "bytes" };
            let count = said(name, &[&(arrow.to - arrow.from)]).say(self.lang);
            show(&arrow.head, room.saturating_sub(count.len() + 2)) + " " + &count
        };
        let turn = if is_steep { 0.0 } else { slope.atan().to_degrees() };
        let style = Style { has_halo: true, turn, ..style };
        if !is_aside {
            // Two ends often cross each other in the middle.
            let x = x0 + (x1 - x0) * if is_end { 0.2 } else { 0.5 };
            return self.canvas.text(x, y0 + slope * (x - x0) - 8.0, style.middle(), &text);
        }
        let x = if leaves_apart && !comes_apart { x0 } else { x1 };
        let inwards = if x < f64::midpoint(CLIENT, SERVER) { 18.0 } else { -18.0 };
        let style = style.towards(inwards);
        let x = x + inwards;
        let on = |x: f64| (x, y0 + slope * (x - x0));
        let width = text.chars().count() as f64 * LETTER * slope.atan().cos();
        if !is_steep {
            let pen = Pen(PAPER, 16.0, "");
            self.canvas.line(&[on(x), on(x + width * inwards.signum())], pen);
        }
        self.canvas.text(x, on(x).1 + 5.0, style, &text);
    }

    /// The bracket of a message. Those that are complete at the same point are one below the other.
    fn bracket(&mut self, it: &Conversation<'_>, bracket: &Bracket) {
        let Bracket { message, first, last, number } = bracket;
        let (edge, out) = lifeline(message.by.other());
        let x = edge + 14.0 * out;
        let bottom = self.scale.at(*last) + *number as f64 * LINE + 8.0;
        let complete = |at| it.complete.get(&(message.by, at)).copied().unwrap_or_default();
        if *number >= MOST_NAMED {
            if *number == MOST_NAMED {
                let text = said("more-messages", &[&(complete(*last) - number)]).say(self.lang);
                self.canvas.text(x + 28.0 * out, bottom - 3.0, NOTE.towards(out), &text);
            }
            return;
        }
        // Below those that are complete where this one begins.
        let above = complete(*first).min(MOST_NAMED);
        let top = self.scale.at(*first) + above as f64 * LINE - 8.0;
        let top = if first == last { bottom - 16.0 } else { top };
        let ((english, indonesian), pen, sign) = look(message.part);
        let points = [(x - 7.0 * out, top), (x, top), (x, bottom), (x - 7.0 * out, bottom)];
        self.canvas.line(&points, pen);
        let middle = if first == last { f64::midpoint(top, bottom) } else { bottom - 8.0 };
        self.canvas.area(&around(x + 16.0 * out, middle, sign), pen.0);
        let size = message.to - message.from;
        let bytes = if size == 1 { "byte" } else { self.lang.choose("bytes", "byte") };
        let part = self.lang.choose(english, indonesian);
        let end = message.ending.map(ending);
        let end = end.unwrap_or(self.lang.choose("incomplete", "tidak lengkap"));
        let text = format!("{part}: {size} {bytes}, {end}");
        self.canvas.text(x + 28.0 * out, middle + 5.0, Style::new(pen.0).towards(out), &text);
    }

    fn mark(&mut self, side: Side, y: f64, mark: &Mark) {
        let (x, out) = lifeline(side);
        let (text, style) = match mark {
            Mark::Reset => ("reset".to_owned(), Style::new(BROKEN)),
            Mark::Silence(time) => (said("silence", &[&milliseconds(*time)]).say(self.lang), NOTE),
        };
        if *mark == Mark::Reset {
            self.cross(x, y);
        }
        let style = Style { has_halo: true, ..style.towards(-out) };
        self.canvas.text(x - 16.0 * out, y + 5.0, style, &text);
    }
}

/// These points, which are told from a point in the middle of them.
fn around(x: f64, y: f64, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().map(|(right, down)| (x + right, y + down)).collect()
}
