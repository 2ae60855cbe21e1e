//! What plain HTTP gets for a page that is blocked.

use crate::words::{Language, Word};

/// Bytes of head and body together that the kernel sends.
const MAX: usize = 1000;

/// The response, in the school's three languages (the kernel sends one page to
/// everybody, and pupils' browsers differ), with whom to ask.
pub(super) fn page(contact: Option<&str>) -> Vec<u8> {
    // The state language first.
    let languages = [Language::Kyrgyz, Language::Russian, Language::English];
    let body = |contact: &str| {
        let mut body = "<!doctype html><meta charset=utf-8><title>403</title>".to_owned();
        for language in languages {
            body += &format!(
                "<div lang={}><h2>{}</h2><p>{}</div>",
                language.code(),
                Word::PageClosed.text(language),
                Word::PageWhy.text(language),
            );
        }
        if !contact.is_empty() {
            let ask = languages.map(|language| Word::PageAsk.text(language));
            body += &format!("<p>{}: {contact}", ask.join(" · "));
        }
        body + "\n"
    };
    let mut contact = escape(contact.unwrap_or_default());
    loop {
        let body = body(&contact);
        let response = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        if response.len() <= MAX || contact.is_empty() {
            return response.into_bytes();
        }
        contact.pop();
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_fits_and_tells_its_length() {
        for contact in [None, Some("кабинет 12 <b>"), Some(&*"ж".repeat(2000))] {
            let page = String::from_utf8(page(contact)).unwrap();
            assert!(page.len() <= MAX);
            let (head, body) = page.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            assert!(!body.contains("<b>"));
            for language in Language::ALL {
                assert!(body.contains(Word::PageClosed.text(language)), "{body}");
                assert!(body.contains(Word::PageWhy.text(language)), "{body}");
            }
            let asks = body.contains(Word::PageAsk.text(Language::Kyrgyz));
            assert_eq!(asks, contact.is_some(), "{body}");
        }
    }
}
