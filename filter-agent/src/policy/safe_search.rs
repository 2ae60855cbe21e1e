//! Search engines that have an address of their own for safe results, and
//! the names that are answered with it.
//!
//! The defaults are what the providers publish for school networks:
//! Google and YouTube (support.google.com/a/answer/6214622), Bing
//! (help.bing.microsoft.com, "Blocking adult content with SafeSearch"),
//! Yandex (yandex.com/support/search/family-search). DuckDuckGo names a host,
//! safe.duckduckgo.com, but no address that stays: unless the policy gives
//! one, its other names do not exist for who must search safely, and that
//! one is left to the resolver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use filter_ebpf::abi::SafeAddress;

/// A search engine.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Its word in a policy.
    pub name: &'static str,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    /// Stems that get each ending of `endings`, or none where that is empty.
    stems: &'static [&'static str],
    endings: &'static [&'static str],
}

/// Every provider; its position is its bit in [`filter_ebpf::abi::Group::safe_search`].
pub const PROVIDERS: [Provider; 5] = [
    Provider {
        name: "google",
        // forcesafesearch.google.com
        v4: Some(Ipv4Addr::new(216, 239, 38, 120)),
        v6: Some(Ipv6Addr::new(0x2001, 0x4860, 0x4802, 0x32, 0, 0, 0, 0x78)),
        stems: &["www.google."],
        endings: GOOGLE,
    },
    Provider {
        name: "youtube",
        // restrict.youtube.com; restrictmoderate is 216.239.38.119.
        v4: Some(Ipv4Addr::new(216, 239, 38, 120)),
        v6: None,
        stems: &[
            "www.youtube.com",
            "m.youtube.com",
            "youtubei.googleapis.com",
            "youtube.googleapis.com",
            "www.youtube-nocookie.com",
        ],
        endings: &[],
    },
    Provider {
        name: "bing",
        // strict.bing.com
        v4: Some(Ipv4Addr::new(204, 79, 197, 220)),
        v6: None,
        stems: &["www.bing.com", "edgeservices.bing.com"],
        endings: &[],
    },
    Provider {
        name: "duckduckgo",
        v4: None,
        v6: None,
        stems: &[
            "duckduckgo.com",
            "www.duckduckgo.com",
            "start.duckduckgo.com",
            "html.duckduckgo.com",
            "lite.duckduckgo.com",
            "noai.duckduckgo.com",
            "duck.com",
            "www.duck.com",
        ],
        endings: &[],
    },
    Provider {
        name: "yandex",
        // familysearch.yandex.ru
        v4: Some(Ipv4Addr::new(213, 180, 193, 56)),
        v6: None,
        stems: &["yandex.", "www.yandex."],
        endings: YANDEX,
    },
];

/// Every provider's bit.
pub const ALL: u8 = (1 << PROVIDERS.len()) - 1;

impl Provider {
    /// Names that are answered with the safe address.
    pub fn hosts(&self) -> impl Iterator<Item = String> + '_ {
        let endings: &[&str] = if self.endings.is_empty() {
            &[""]
        } else {
            self.endings
        };
        self.stems
            .iter()
            .flat_map(|stem| endings.iter().map(move |ending| format!("{stem}{ending}")))
    }

    /// What it publishes.
    pub fn address(&self) -> SafeAddress {
        let v4 = self.v4.map(IpAddr::V4);
        let v6 = self.v6.map(IpAddr::V6);
        safe_address(v4.into_iter().chain(v6))
    }
}

/// The last address of each family.
pub fn safe_address(addresses: impl IntoIterator<Item = IpAddr>) -> SafeAddress {
    let mut safe = SafeAddress::default();
    for address in addresses {
        match address {
            IpAddr::V4(address) => {
                safe.v4 = address.octets();
                safe.families |= SafeAddress::V4;
            }
            IpAddr::V6(address) => {
                safe.v6 = address.octets();
                safe.families |= SafeAddress::V6;
            }
        }
    }
    safe
}

/// Endings of Google's search hosts (google.com/supported_domains).
const GOOGLE: &[&str] = &[
    "com", "ad", "ae", "al", "am", "as", "at", "az", "ba", "be", "bf", "bg", "bi", "bj", "bs",
    "bt", "by", "ca", "cat", "cd", "cf", "cg", "ch", "ci", "cl", "cm", "cn", "co.ao", "co.bw",
    "co.ck", "co.cr", "co.id", "co.il", "co.in", "co.jp", "co.ke", "co.kr", "co.ls", "co.ma",
    "co.mz", "co.nz", "co.th", "co.tz", "co.ug", "co.uk", "co.uz", "co.ve", "co.vi", "co.za",
    "co.zm", "co.zw", "com.af", "com.ag", "com.ai", "com.ar", "com.au", "com.bd", "com.bh",
    "com.bn", "com.bo", "com.br", "com.bz", "com.co", "com.cu", "com.cy", "com.do", "com.ec",
    "com.eg", "com.et", "com.fj", "com.gh", "com.gi", "com.gt", "com.hk", "com.jm", "com.kh",
    "com.kw", "com.lb", "com.ly", "com.mm", "com.mt", "com.mx", "com.my", "com.na", "com.ng",
    "com.ni", "com.np", "com.om", "com.pa", "com.pe", "com.pg", "com.ph", "com.pk", "com.pr",
    "com.py", "com.qa", "com.sa", "com.sb", "com.sg", "com.sl", "com.sv", "com.tj", "com.tr",
    "com.tw", "com.ua", "com.uy", "com.vc", "com.vn", "cv", "cz", "de", "dj", "dk", "dm", "dz",
    "ee", "es", "fi", "fm", "fr", "ga", "ge", "gg", "gl", "gm", "gp", "gr", "gy", "hn", "hr", "ht",
    "hu", "ie", "im", "iq", "is", "it", "je", "jo", "kg", "ki", "kz", "la", "li", "lk", "lt", "lu",
    "lv", "md", "me", "mg", "mk", "ml", "mn", "mu", "mv", "mw", "ne", "nl", "no", "nr", "nu", "pl",
    "pn", "ps", "pt", "ro", "rs", "ru", "rw", "sc", "se", "sh", "si", "sk", "sm", "sn", "so", "sr",
    "st", "td", "tg", "tl", "tm", "tn", "to", "tt", "vg", "vu", "ws",
];

/// Endings of Yandex's search hosts.
const YANDEX: &[&str] = &[
    "ru", "com", "az", "by", "co.il", "com.am", "com.ge", "com.tr", "ee", "eu", "fr", "kg", "kz",
    "lt", "lv", "md", "pl", "tj", "tm", "ua", "uz",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_one_provider() {
        let mut seen = std::collections::HashSet::new();
        for provider in &PROVIDERS {
            for host in provider.hosts() {
                assert!(seen.insert(host.clone()), "{host} twice");
                assert!(!host.ends_with('.') && host.contains('.'), "{host}");
            }
        }
        for host in [
            "www.google.com",
            "www.google.kg",
            "www.google.co.uk",
            "www.google.com.tr",
            "www.youtube.com",
            "www.bing.com",
            "yandex.ru",
            "www.yandex.kz",
            "duckduckgo.com",
        ] {
            assert!(seen.contains(host), "{host}");
        }
    }

    #[test]
    fn published_addresses() {
        let google = PROVIDERS[0].address();
        assert_eq!(google.v4, [216, 239, 38, 120]);
        assert_eq!(google.families, SafeAddress::V4 | SafeAddress::V6);
        assert_eq!(PROVIDERS[2].address().families, SafeAddress::V4);
        assert_eq!(PROVIDERS[3].address().families, 0);
    }
}
