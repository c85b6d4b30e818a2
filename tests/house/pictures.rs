//! The pictures of the documents: drawn from the texts in `docs/pictures`, readable in light and in dark.
//!
//! `PICTURES=write cargo test --test house pictures` writes them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The links to the pictures as rustdoc needs them: it copies no files, so each picture is in its link.
const LINKS: &str = "rustdoc.links";

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}
.middle{text-anchor:middle}
.panel{fill:#fff;stroke:#d0d7de}
.frame{fill:none;stroke:#8c959f;stroke-dasharray:4 3}
.plain{fill:#f6f8fa;stroke:#8c959f}
.good{fill:#dafbe1;stroke:#1a7f37}
.wait{fill:#fff8c5;stroke:#9a6700}
.bad{fill:#ffebe9;stroke:#cf222e}
.line{fill:none;stroke:#59636e}
.tip{fill:#59636e}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.panel{fill:#0d1117;stroke:#30363d}
.frame{stroke:#656c76}
.plain{fill:#161b22;stroke:#656c76}
.good{fill:#12261e;stroke:#3fb950}
.wait{fill:#272115;stroke:#d29922}
.bad{fill:#25171c;stroke:#f85149}
.line{stroke:#9198a1}
.tip{fill:#9198a1}
}";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn escaped(text: &str) -> String {
    text.trim().replace('&', "&amp;").replace('<', "&lt;")
}

/// The width of a text of this font, roughly and rather too much.
fn width_of(text: &str) -> i32 {
    i32::try_from(text.trim().chars().count()).unwrap() * 7
}

/// The whole numbers in a text, whatever stands between them.
fn numbers(text: &str) -> Vec<i32> {
    text.split([' ', ',']).filter_map(|word| word.parse().ok()).collect()
}

/// What is drawn, as SVG, and how large the picture is.
#[derive(Default)]
struct Picture {
    size: (i32, i32),
    title: String,
    body: String,
}

impl Picture {
    fn draw(source: &str) -> String {
        let mut picture = Self::default();
        for line in source.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let mut parts = rest.split('|');
            let place = parts.next().unwrap_or_default();
            let texts: Vec<_> = parts.collect();
            match word {
                "size" => picture.size = (numbers(place)[0], numbers(place)[1]),
                "title" => picture.title = escaped(rest),
                "box" => picture.add_box(place, &texts),
                "arrow" => picture.add_arrow(&numbers(place), texts.first()),
                "note" => picture.add_text((numbers(place)[0], numbers(place)[1]), "", texts[0]),
                other => panic!("`{other}` draws nothing: {line}"),
            }
        }
        let Self { size: (width, height), title, body } = picture;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<style>\n{STYLE}\n</style>\n\
             <rect class=\"panel\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n{body}</svg>\n",
            width - 1,
            height - 1
        )
    }

    fn add_text(&mut self, (x, y): (i32, i32), class: &str, text: &str) {
        let left = if class.is_empty() { x } else { x - width_of(text) / 2 };
        assert!(left >= 0 && left + width_of(text) <= self.size.0 && y < self.size.1, "`{text}` is cut off");
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = writeln!(self.body, "<text{class} x=\"{x}\" y=\"{y}\">{}</text>", escaped(text));
    }

    fn add_box(&mut self, place: &str, lines: &[&str]) {
        let [x, y, width, height] = numbers(place)[..] else { panic!("{place}") };
        let kind = place.trim().rsplit(' ').next().unwrap();
        assert!(STYLE.contains(&format!("\n.{kind}{{")), "`{kind}` is no kind of box");
        let _ = writeln!(
            self.body,
            "<rect class=\"{kind}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
        );
        let count = i32::try_from(lines.len()).unwrap();
        for (line, number) in lines.iter().zip(0..) {
            assert!(width_of(line) <= width, "`{line}` is wider than its box");
            self.add_text(
                (x + width / 2, y + height / 2 + 5 - (count - 1) * 9 + number * 18),
                "middle",
                line,
            );
        }
    }

    /// A line through these points, with its tip at the last one and its label beside the longest stretch.
    fn add_arrow(&mut self, numbers: &[i32], label: Option<&&str>) {
        let points: Vec<(i32, i32)> = numbers.chunks(2).map(|point| (point[0], point[1])).collect();
        let path: Vec<_> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
        let [.., (from_x, from_y), (x, y)] = points[..] else { panic!("{numbers:?}") };
        let _ = writeln!(self.body, "<polyline class=\"line\" points=\"{}\"/>", path.join(" "));
        let (ahead_x, ahead_y) = ((x - from_x).signum(), (y - from_y).signum());
        let corner = |side: i32| {
            format!("{},{}", x - 8 * ahead_x + 4 * side * ahead_y, y - 8 * ahead_y + 4 * side * ahead_x)
        };
        let _ =
            writeln!(self.body, "<polygon class=\"tip\" points=\"{x},{y} {} {}\"/>", corner(1), corner(-1));
        if let Some(label) = label {
            let stretch = points
                .windows(2)
                .max_by_key(|pair| (pair[0].0 - pair[1].0).abs() + (pair[0].1 - pair[1].1).abs());
            let [(x1, y1), (x2, y2)] = stretch.unwrap()[..] else { panic!("{numbers:?}") };
            let (x, y) = ((x1 + x2) / 2, (y1 + y2) / 2);
            if y1 == y2 {
                self.add_text((x, y - 6), "middle", label);
            } else {
                self.add_text((x + 8, y + 4), "", label);
            }
        }
    }
}

/// Each file that is made, and what it holds.
fn made() -> Vec<(PathBuf, String)> {
    let mut sources: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    sources.sort();
    assert!(!sources.is_empty(), "no picture has a source");
    let mut links = String::new();
    let mut made = Vec::new();
    for source in sources {
        let picture = Picture::draw(&text(&source));
        let path = source.with_extension("svg");
        let name = path.file_name().unwrap().to_str().unwrap();
        let _ = writeln!(links, "[{name}]: data:image/svg+xml;base64,{}", STANDARD.encode(&picture));
        made.push((path, picture));
    }
    made.push((folder().join(LINKS), links));
    made
}

#[test]
fn each_picture_is_the_one_that_its_source_describes() {
    let writes = std::env::var("PICTURES").is_ok_and(|value| value == "write");
    for (path, content) in made() {
        if writes {
            std::fs::write(&path, &content).unwrap();
        }
        assert!(
            text(&path) == content,
            "{} is not what its source describes; PICTURES=write cargo test --test house pictures writes it",
            path.display()
        );
    }
}

#[test]
fn each_picture_is_in_a_document_and_in_rustdoc() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["README.md", "docs/failures.md"].map(|page| text(&root.join(page)));
    for (path, _) in made() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != LINKS {
            assert!(pages.iter().any(|page| page.contains(&format!("][{name}]"))), "{name}");
        }
    }
    assert!(text(&root.join("src/lib.rs")).matches(&format!("docs/pictures/{LINKS}")).count() >= 2);
}
