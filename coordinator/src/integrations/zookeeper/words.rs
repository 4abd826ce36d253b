//! Readers of what members answer. An answer proves nothing by coming: its words do.

use crate::fleet::MemberSaid;

/// Reads the answer to `srvr`.
pub(super) fn read_srvr(answer: &[u8]) -> Result<MemberSaid, String> {
    let mut said = MemberSaid::default();
    for (key, value) in text(answer)?.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "Zookeeper version" => said.version = short_version(value),
            "Zxid" => said.epoch = epoch(value),
            "Mode" => said.mode = value.to_owned(),
            "Outstanding" => said.outstanding = count(value),
            "Node count" => said.znodes = count(value),
            // "0/0.3/11": the least, the average, the most. Floats since 3.6.
            "Latency min/avg/max" => said.latency_ms = value.split('/').nth(1).and_then(count),
            _ => {}
        }
    }
    if said.mode.is_empty() {
        return Err("what it answers to srvr names no mode, so it is no answer of ZooKeeper's".to_owned());
    }
    Ok(said)
}

/// Reads the answer to `mntr`: lines of key, tab, value.
pub(super) fn read_mntr(answer: &[u8]) -> Result<MemberSaid, String> {
    let mut said = MemberSaid::default();
    for (key, value) in text(answer)?.lines().filter_map(|line| line.split_once('\t')) {
        match key.trim() {
            "zk_synced_followers" => said.synced_followers = count(value),
            "zk_outstanding_requests" => said.outstanding = count(value),
            "zk_approximate_data_size" => said.data_bytes = count(value),
            _ => {}
        }
    }
    Ok(said)
}

fn text(answer: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(answer).map_err(|_| "what it answers is no text".to_owned())?;
    if text.contains("not currently serving requests") {
        return Err("it is not serving requests: it has no quorum, or still copies".to_owned());
    }
    if text.contains("is not executed because it is not in the whitelist") {
        return Err("it refuses the word: add srvr to its 4lw.commands.whitelist".to_owned());
    }
    if text.is_empty() {
        return Err("it hangs up without a word".to_owned());
    }
    Ok(text)
}

/// `0x200000005` is a transaction of epoch 2.
fn epoch(zxid: &str) -> Option<u64> {
    u64::from_str_radix(zxid.strip_prefix("0x")?, 16).ok().map(|zxid| zxid >> 32)
}

/// Counts may be written as floats.
fn count(value: &str) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1e15")]
    value.trim().parse::<f64>().ok().filter(|number| (0.0..1e15).contains(number)).map(|number| number as u64)
}

/// `3.6.2--803c7f…, built on …` is `3.6.2`.
fn short_version(text: &str) -> String {
    text.split(['-', ',', ' ']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_of_3_4_and_a_follower_of_3_8_read_alike() {
        let old = b"Zookeeper version: 3.4.13-2d71af4dbe22557fda74f9a9b4309b15a7487f03, built on 06/29/2018\n\
            Latency min/avg/max: 0/1/11\nReceived: 5\nSent: 4\nConnections: 1\nOutstanding: 0\nZxid: 0x200000005\n\
            Mode: leader\nNode count: 6\n";
        let said = read_srvr(old).unwrap();
        assert_eq!((said.version.as_str(), said.mode.as_str(), said.epoch), ("3.4.13", "leader", Some(2)));
        assert_eq!((said.latency_ms, said.outstanding, said.znodes), (Some(1), Some(0), Some(6)));
        let new = b"Zookeeper version: 3.8.0-5a02a05eddb59aee6ac762f7ea82e92a68eb9c0f, built on 2022-02-25\n\
            Latency min/avg/max: 0/0.375/3\nOutstanding: 0\nZxid: 0x300000000\nMode: follower\nNode count: 5\n";
        let said = read_srvr(new).unwrap();
        assert_eq!((said.mode.as_str(), said.epoch, said.latency_ms), ("follower", Some(3), Some(0)));
    }

    #[test]
    fn answers_that_are_no_error_of_the_connection_are_none_the_less() {
        for (answer, why) in [
            ("This ZooKeeper instance is not currently serving requests\n", "no quorum"),
            ("srvr is not executed because it is not in the whitelist.\n", "whitelist"),
            ("", "without a word"),
            ("HTTP/1.1 400 Bad Request\r\nServer: x\r\n", "names no mode"),
        ] {
            assert!(read_srvr(answer.as_bytes()).unwrap_err().contains(why), "{answer:?}");
        }
        assert!(read_srvr(&[0xff, 0xfe]).unwrap_err().contains("no text"));
    }

    #[test]
    fn numbers_of_mntr_are_read_however_they_are_written() {
        let said =
            read_mntr(b"zk_version\t3.8.0\nzk_synced_followers\t2.0\nzk_approximate_data_size\t4711\n")
                .unwrap();
        assert_eq!((said.synced_followers, said.data_bytes), (Some(2), Some(4711)));
    }
}
