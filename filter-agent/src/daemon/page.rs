//! What plain HTTP gets for a page that is blocked.

use crate::words::{Language, Word};

/// Bytes of head and body together. The page must fit where the request lay
/// and into what drivers leave free in front of a frame (XDP_PACKET_HEADROOM,
/// 256 bytes, less what the kernel needs of it): some leave nothing behind it.
const MAX: usize = 250;

/// The response, in the school's three languages (the kernel sends one page to
/// everybody, and pupils' browsers differ), with whom to ask.
pub(super) fn page(contact: Option<&str>) -> Vec<u8> {
    // The state language first.
    let closed = [Language::Kyrgyz, Language::Russian, Language::English]
        .map(|language| Word::PageClosed.text(language))
        .join(" · ");
    let mut contact = escape(contact.unwrap_or_default());
    loop {
        let body = format!("<h3>{closed}</h3>{contact}\n");
        let response = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
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
            }
            let asks = contact.is_some_and(|contact| body.contains(&contact[..6]));
            assert_eq!(asks, contact.is_some(), "{body}");
        }
    }
}
