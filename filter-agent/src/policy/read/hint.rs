//! What a mistake usually comes from. A word processor's quotes and dashes
//! look right, so the message that shows the line does not help by itself.

/// Behind a syntax error: by the text from the error on, and its whole line.
pub(super) fn syntax(from: &str, line: &str) -> &'static str {
    let wrong = from
        .split(|c: char| c.is_whitespace() || c == ',')
        .next()
        .unwrap_or("");
    if line.contains(['“', '”', '„', '«', '»', '‘', '’']) {
        "; write straight quotes: \"…\""
    } else if matches!(
        wrong.to_lowercase().as_str(),
        "yes" | "no" | "on" | "off" | "да" | "нет" | "ооба" | "жок"
    ) {
        "; write true or false"
    } else if is_dotted_date(wrong) {
        "; write a date as 2026-09-01"
    } else if from.chars().next().is_some_and(is_cyrillic) {
        "; this letter is Cyrillic, the words of the policy are Latin"
    } else {
        ""
    }
}

/// Behind a window such as `Mon-Fri 08:00-13:30` that cannot be read.
pub(super) fn window(text: &str) -> &'static str {
    if text
        .chars()
        .any(|c| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}'))
    {
        "; write a plain hyphen (-) instead of the dash"
    } else if text.chars().any(is_cyrillic) {
        "; the days are Mon, Tue, Wed, Thu, Fri, Sat, Sun"
    } else if text.to_ascii_lowercase().contains("am") || text.to_ascii_lowercase().contains("pm") {
        "; write times as 08:00 and 14:00"
    } else {
        ""
    }
}

fn is_cyrillic(c: char) -> bool {
    ('\u{400}'..='\u{52f}').contains(&c)
}

/// `01.09.2026`, or what the parser has left of it.
fn is_dotted_date(text: &str) -> bool {
    let mut parts = text.split('.');
    let digits = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    digits(parts.next()) && digits(parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_mistakes_get_a_hint_and_others_none() {
        for (from, line, want) in [
            ("“a”", "name = “a”", "straight quotes"),
            ("yes", "supervised = yes", "true or false"),
            ("Да", "supervised = Да", "true or false"),
            ("01.09.2026, to", "from = 01.09.2026, to", "2026-09-01"),
            ("аn = 1", "vlаn = 1", "Cyrillic"),
            ("name", "x name", ""),
            ("1.5x", "f = 1.5x", ""),
        ] {
            let hint = syntax(from, line);
            assert!(
                hint.contains(want) && hint.is_empty() == want.is_empty(),
                "{from}: {hint}"
            );
        }
        for (text, want) in [
            ("Mon–Fri 08:00–14:00", "hyphen"),
            ("Пн-Пт 08:00-14:00", "Mon, Tue"),
            ("Mon 8am-2pm", "08:00"),
            ("Mon 25:00-26:00", ""),
        ] {
            let hint = window(text);
            assert!(
                hint.contains(want) && hint.is_empty() == want.is_empty(),
                "{text}: {hint}"
            );
        }
    }
}
