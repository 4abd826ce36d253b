//! Names with `*` for any run of characters, as configuration lists them.

/// Whether `name` is one that `pattern` means; letters count as written.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, is_meant) in [
            ("zookeeper", "zookeeper", true),
            ("zookeeper", "zookeeper-2", false),
            ("zookeeper*", "zookeeper-2", true),
            ("*zookeeper", "my-zookeeper", true),
            ("*keep*", "zookeeper", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), is_meant, "{pattern} {name}");
        }
    }
}
