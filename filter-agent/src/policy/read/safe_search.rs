//! `[safe_search]`: addresses beside those that providers publish; and who
//! must search safely.

use filter_ebpf::abi::SafeAddress;
use toml::de::DeValue;

use super::fields::{Fields, Value, expected, text};
use crate::policy::problem::Problems;
use crate::policy::safe_search::{ALL, PROVIDERS, safe_address};

/// Addresses of every provider.
pub(super) fn addresses(
    top: &mut Fields<'_, '_>,
    out: &mut Problems<'_>,
) -> [SafeAddress; PROVIDERS.len()] {
    let mut addresses = PROVIDERS.map(|provider| provider.address());
    let Some(mut fields) = top.table("safe_search", out) else {
        return addresses;
    };
    for (address, provider) in addresses.iter_mut().zip(&PROVIDERS) {
        if !fields.has(provider.name) {
            continue;
        }
        let given = fields.list(provider.name, out, |value, out| {
            let found = text(value, out)?;
            let parsed = found.value.parse();
            if parsed.is_err() {
                out.at(
                    &found.span,
                    format!(
                        "expected an address such as \"216.239.38.120\", found \"{}\"",
                        found.value
                    ),
                );
            }
            parsed.ok()
        });
        *address = safe_address(given);
    }
    fields.finish(out);
    addresses
}

/// `safe_search` of a group, as bits of the providers: true, false, or a list
/// of some.
pub(super) fn providers(fields: &mut Fields<'_, '_>, default: bool, out: &mut Problems<'_>) -> u8 {
    let all = |yes| if yes { ALL } else { 0 };
    let Some(value) = fields.take("safe_search") else {
        return all(default);
    };
    match value.get_ref() {
        DeValue::Boolean(yes) => all(*yes),
        DeValue::Array(array) => array
            .iter()
            .filter_map(|value| bit(value, out))
            .fold(0, |bits, bit| bits | bit),
        other => {
            let what = "true, false or a list such as [\"google\", \"youtube\"]";
            out.at(&value.span(), expected(what, other));
            0
        }
    }
}

fn bit(value: &Value<'_>, out: &mut Problems<'_>) -> Option<u8> {
    let found = text(value, out)?;
    let at = PROVIDERS
        .iter()
        .position(|provider| provider.name == found.value);
    if at.is_none() {
        let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        out.at(
            &found.span,
            format!(
                "no search engine \"{}\" is known; known are {}",
                found.value,
                known.join(", ")
            ),
        );
    }
    at.map(|at| 1 << at)
}
