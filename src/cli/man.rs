//! The manual page of each program, printed by `--man` in the form of `man(7)`.
//!
//! It is made from the text that `--help` prints, in the user's language, so that both say the same.

/// The manual page of this program.
pub(super) fn page(program: &str, usage: &str) -> String {
    let name = program.to_uppercase();
    let mut page = format!(".TH {name} 1 \"\" \"connme {}\"\n", env!("CARGO_PKG_VERSION"));
    for line in usage.lines() {
        let (text, indent) = (line.trim_start(), line.len() - line.trim_start().len());
        // An example has no explanation, or has it further to the right.
        let item = text.split_once("  ").filter(|_| indent > 0 && indent < FAR);
        if let Some(about) = line.strip_prefix(&format!("{program}: ")) {
            page += &format!(".SH NAME\n{} \\- {}\n", escaped(program), escaped(about));
        } else if let Some(heading) = line.strip_suffix(':').filter(|_| indent == 0) {
            page += &format!(".SH {}\n", escaped(&heading.to_uppercase()));
        } else if let Some((heading, usage)) =
            line.split_once(": ").filter(|(_, it)| it.starts_with(program))
        {
            page += &format!(".SH {}\n.B {}\n", escaped(&heading.to_uppercase()), escaped(usage));
        } else if text.is_empty() {
            page += ".PP\n";
        } else if let Some((term, about)) = item {
            page += &format!(".TP\n.B {}\n{}\n", escaped(term), escaped(about.trim_start()));
        } else if indent > 0 && indent < FAR {
            page += &format!(".TP\n.B {}\n", escaped(text));
        } else {
            page += &format!("{}\n", escaped(text));
        }
    }
    page
}

/// What begins as far to the right as this goes on with the explanation above it.
const FAR: usize = 20;

/// A text in which nothing is a request of roff.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_the_help_says() {
        let usage = "connme-x: does\n\nusage: connme-x [FLAG]...\n\nexamples:\n  connme-x a\n\nflags:\n  -s, --server HOST  the server\n                     \
                     (there)\n.dot \\ text\n";
        assert_eq!(
            page("connme-x", usage),
            ".TH CONNME-X 1 \"\" \"connme 0.1.0\"\n.SH NAME\nconnme\\-x \\- does\n.PP\n.SH USAGE\n.B connme\\-x [FLAG]...\n.PP\n.SH EXAMPLES\n.TP\n.B connme\\-x a\n.PP\n\
             .SH FLAGS\n.TP\n.B \\-s, \\-\\-server HOST\nthe server\n(there)\n\\&.dot \\e text\n"
        );
    }
}
