//! What plain HTTP gets for a page that is blocked.

/// Bytes of head and body together that the kernel sends.
const MAX: usize = 1000;

/// The response, in the school's three languages, with whom to ask.
pub(super) fn page(contact: Option<&str>) -> Vec<u8> {
    let body = |contact: &str| {
        format!(
            "<!doctype html><meta charset=utf-8><title>403</title>\
             <h1>Бул барак жабык · Страница закрыта · Page blocked</h1><p>{contact}\n"
        )
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
        }
    }
}
