//! Tokens, sessions and what they allow, over the course of days.

use super::*;

const START: &str = "2026-01-31T10:00:00Z";

fn at(hours: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
}

fn limits() -> Limits {
    let hours = SignedDuration::from_hours;
    Limits { idle: hours(8), session: hours(24 * 7), token: hours(24 * 365) }
}

fn token(id: &str, secret: &Secret) -> Token {
    Token {
        id: id.to_owned(),
        digest: Digest::of(secret.text()),
        person: "jane".to_owned(),
        label: "laptop".to_owned(),
        rights: Rights::everywhere(Role::Operate),
        made_at: at(0),
        made_by: "root".to_owned(),
        expires_at: at(24 * 30),
        revoked: None,
        used: None,
    }
}

/// Jane with one token, and its secret.
fn people() -> (People, Secret) {
    let secret = Secret::random(Token::PREFIX).unwrap();
    let people =
        People::new(limits(), Seal::random().unwrap(), (vec![token("t1", &secret)], Vec::new()), at(0));
    (people, secret)
}

fn signed_in(people: &mut People, secret: &Secret) -> Secret {
    let cookie = Secret::random("").unwrap();
    people.begin(secret.text(), &cookie, "10.0.0.1", at(0)).unwrap();
    cookie
}

#[test]
fn a_token_is_its_owner_until_it_expires_and_nobody_afterwards() {
    let (mut people, secret) = people();
    let known = people.by_token(secret.text(), "10.0.0.1", at(1)).unwrap();
    assert_eq!((known.caller.name.as_str(), known.is_news), ("jane", true));
    assert!(known.caller.rights.may(Role::Operate, None) && !known.caller.rights.may(Role::Approve, None));
    assert_eq!(people.by_token("mwt_0000", "10.0.0.1", at(1)), Err(Unrecognised::Unknown));
    assert_eq!(people.by_token("", "10.0.0.1", at(1)), Err(Unrecognised::Unknown));
    let refused = people.by_token(secret.text(), "10.0.0.1", at(24 * 30)).unwrap_err();
    assert_eq!(refused.token(), Some(("jane", "t1")));
    assert!(refused.to_string().contains("expired at 2026-03-02T10:00:00Z"), "{refused}");
}

#[test]
fn the_use_of_a_token_is_kept_once_an_hour_and_told_once_for_each_place_it_comes_from() {
    let (mut people, secret) = people();
    let mut kept_and_told = |from: &str, hour: i64| {
        let known = people.by_token(secret.text(), from, at(hour)).unwrap();
        (known.keep.is_some(), known.is_news)
    };
    assert_eq!(kept_and_told("10.0.0.1", 0), (true, true));
    assert_eq!(kept_and_told("10.0.0.1", 0), (false, false));
    assert_eq!(kept_and_told("10.0.0.2", 0), (true, true));
    for from in ["10.0.0.1", "10.0.0.2", "10.0.0.1"] {
        assert_eq!(kept_and_told(from, 0), (false, false), "two machines in turn");
    }
    assert_eq!(kept_and_told("10.0.0.2", 1), (true, false));
    assert_eq!(kept_and_told("10.0.0.2", 13), (true, true));
}

#[test]
fn a_revoked_token_takes_its_sessions_with_it_and_says_who_did_it() {
    let (mut people, secret) = people();
    let cookie = signed_in(&mut people, &secret);
    let caller = people.by_cookie(cookie.text(), true, at(1)).unwrap().caller;
    assert!(people.is_still(&caller, at(1)));
    assert!(people.revoke("t1", "root", at(1)).unwrap().revoked.is_some());
    assert_eq!(people.revoke("t1", "joe", at(2)).unwrap().revoked.unwrap().by, "root", "once is enough");
    assert!(people.revoke("t1", "root", at(24 * 30)).is_none(), "its time is over");
    assert_eq!(people.by_cookie(cookie.text(), true, at(1)), None);
    assert!(!people.is_still(&caller, at(1)), "an open stream ends");
    let refused = people.by_token(secret.text(), "10.0.0.1", at(1)).unwrap_err();
    assert!(refused.to_string().contains("by root"), "{refused}");
}

#[test]
fn a_session_ends_when_it_is_not_used_and_what_a_page_does_by_itself_is_no_use() {
    let (mut people, secret) = people();
    let cookie = signed_in(&mut people, &secret);
    for hour in [7, 14, 21] {
        assert!(people.by_cookie(cookie.text(), true, at(hour)).is_some(), "used each seven hours");
    }
    for hour in [24, 28] {
        assert!(people.by_cookie(cookie.text(), false, at(hour)).is_some(), "a page that refreshes itself");
    }
    assert_eq!(people.by_cookie(cookie.text(), false, at(29)), None);
    assert_eq!(people.by_cookie(cookie.text(), true, at(22)), None, "it does not come back");
}

#[test]
fn a_session_ends_after_its_longest_time_however_it_is_used() {
    let (mut people, secret) = people();
    let cookie = signed_in(&mut people, &secret);
    for hour in (0..24 * 7).step_by(4) {
        assert!(people.by_cookie(cookie.text(), true, at(hour)).is_some(), "{hour}");
    }
    assert_eq!(people.by_cookie(cookie.text(), true, at(24 * 7)), None);
}

#[test]
fn a_session_allows_what_its_token_allows_now_and_ends_with_it() {
    let (mut people, secret) = people();
    people.put(Token { expires_at: at(2), ..token("t1", &secret) });
    let cookie = signed_in(&mut people, &secret);
    people.put(Token { expires_at: at(2), rights: Rights::everywhere(Role::View), ..token("t1", &secret) });
    let caller = people.by_cookie(cookie.text(), true, at(1)).unwrap().caller;
    assert!(!caller.rights.may(Role::Operate, None));
    assert_eq!(people.by_cookie(cookie.text(), true, at(2)), None);
}

#[test]
fn sessions_and_tokens_are_known_again_after_a_restart() {
    let (mut people, secret) = people();
    let cookie = Secret::random("").unwrap();
    let session = people.begin(secret.text(), &cookie, "10.0.0.1", at(0)).unwrap().session;
    let kept = || (vec![token("t1", &secret)], vec![session.clone()]);
    let mut anew = People::new(limits(), Seal::random().unwrap(), kept(), at(1));
    assert_eq!(anew.by_cookie(cookie.text(), true, at(1)).unwrap().caller.name, "jane");
    assert_eq!(anew.by_cookie("0000", true, at(1)), None);
    let mut later = People::new(limits(), Seal::random().unwrap(), kept(), at(24));
    assert_eq!(later.by_cookie(cookie.text(), true, at(1)), None, "over, and not even read");
}

#[test]
fn a_session_from_before_a_clock_was_set_right_is_over() {
    let (mut people, secret) = people();
    let cookie = signed_in(&mut people, &secret);
    assert_eq!(people.by_cookie(cookie.text(), true, at(-1)), None);
}

#[test]
fn a_token_has_so_many_sessions_and_the_one_least_used_ends_for_another() {
    let (mut people, secret) = people();
    let cookies: Vec<Secret> = (0..SESSIONS_EACH).map(|_| signed_in(&mut people, &secret)).collect();
    let first = Digest::of(cookies[0].text());
    for cookie in &cookies[1..] {
        people.by_cookie(cookie.text(), true, at(1)).unwrap();
    }
    let begun = people.begin(secret.text(), &Secret::random("").unwrap(), "10.0.0.1", at(1)).unwrap();
    assert_eq!(begun.ended, [first], "to be dropped");
    assert_eq!(people.by_cookie(cookies[0].text(), true, at(1)), None);
    assert!(cookies[1..].iter().all(|cookie| people.by_cookie(cookie.text(), true, at(1)).is_some()));
}

#[test]
fn a_form_is_sealed_for_one_session_of_one_person() {
    let (mut people, secret) = people();
    let [one, other] = [(); 2].map(|()| signed_in(&mut people, &secret));
    let one = people.by_cookie(one.text(), true, at(1)).unwrap().caller;
    let other = people.by_cookie(other.text(), true, at(1)).unwrap().caller;
    let proxied = |name: &str| Caller {
        name: name.to_owned(),
        rights: Rights::default(),
        how: How::Proxy { proxy: "www-data".to_owned() },
    };
    let seals = [one.clone(), other, proxied("jane"), proxied("joe")].map(|caller| people.form_seal(&caller));
    assert_eq!(people.form_seal(&one), seals[0]);
    assert_eq!(std::collections::BTreeSet::from(seals).len(), 4);
}

#[test]
fn somebody_behind_a_proxy_is_news_twice_a_day() {
    let (mut people, _) = people();
    assert!(people.is_news_at("front", "joe", at(0)));
    assert!(!people.is_news_at("front", "joe", at(11)));
    assert!(people.is_news_at("front", "joe", at(12)));
    for number in 0..2 * TOLD_MOST {
        people.is_news_at("front", &number.to_string(), at(12));
    }
    assert!(people.told.len() <= TOLD_MOST);
}
