use std::fmt::Write as _;

use crate::text::printable;

/// A page while it is written. Names of elements and attributes are the program's own; whatever is told in them is
/// escaped here, so that no text of others can become markup.
#[derive(Default)]
pub(in crate::load::report) struct Html {
    out: String,
    ids: usize,
}

/// A name and a value.
pub(in crate::load::report) type Attribute<'a> = (&'static str, &'a str);

impl Html {
    /// An element and what is in it.
    pub(in crate::load::report) fn element(
        &mut self,
        tag: &'static str,
        attributes: &[Attribute<'_>],
        inside: impl FnOnce(&mut Html),
    ) {
        self.open(tag, attributes);
        self.out.push('>');
        inside(self);
        let _ = write!(self.out, "</{tag}>");
        if !is_within_text(tag) {
            self.out.push('\n');
        }
    }

    /// An element that holds a text.
    pub(in crate::load::report) fn leaf(&mut self, tag: &'static str, attributes: &[Attribute<'_>], text: &str) {
        self.element(tag, attributes, |html| html.text(text));
    }

    /// An element that holds nothing.
    pub(in crate::load::report) fn empty(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.open(tag, attributes);
        self.out.push_str("/>");
    }

    pub(in crate::load::report) fn text(&mut self, text: &str) {
        escape(&mut self.out, text);
    }

    /// The page's looks.
    pub(in crate::load::report) fn style(&mut self, css: &'static str) {
        let _ = write!(self.out, "<style>\n{css}</style>\n");
    }

    /// A name that nothing else on the page has.
    pub(in crate::load::report) fn fresh_id(&mut self) -> String {
        self.ids += 1;
        format!("i{}", self.ids)
    }

    pub(in crate::load::report) fn into_page(self) -> String {
        format!("<!DOCTYPE html>\n{}", self.out)
    }

    fn open(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        let _ = write!(self.out, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.out, " {name}=\"");
            escape(&mut self.out, value);
            self.out.push('"');
        }
    }
}

/// Spaces around these would be seen.
fn is_within_text(tag: &str) -> bool {
    matches!(tag, "span" | "code" | "b" | "a" | "pre" | "summary")
}

/// Line breaks stay; other characters that steer are shown as what they are.
fn escape(out: &mut String, text: &str) {
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        for c in printable(line).chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                c => out.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_values_cannot_become_markup() {
        let mut html = Html::default();
        let hostile = "</p><script>alert(\"1\" + '2')</script>&\u{1b}\u{202e}";
        html.leaf("p", &[("title", hostile)], hostile);
        let escaped = "&lt;/p&gt;&lt;script&gt;alert(&quot;1&quot; + &#39;2&#39;)&lt;/script&gt;&amp;\\u{1b}\\u{202e}";
        assert_eq!(html.into_page(), format!("<!DOCTYPE html>\n<p title=\"{escaped}\">{escaped}</p>\n"));
    }

    #[test]
    fn line_breaks_stay() {
        let mut html = Html::default();
        html.leaf("pre", &[], "a\nb");
        assert_eq!(html.into_page(), "<!DOCTYPE html>\n<pre>a\nb</pre>");
    }
}
