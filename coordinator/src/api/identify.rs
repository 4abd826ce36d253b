//! Who sent a request: a token, a proxy that vouches for somebody, a browser's cookie, or the kernel on the Unix socket.
//!
//! Whoever says something wrong is refused rather than taken for nobody: a script whose token has expired must hear of it.

use super::error::{ErrorCode, Refusal};
use crate::{
    app::App,
    people::{self, Caller, How, Token},
    serve::{COOKIE, Peer, address},
};
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Method, header},
};

/// Groups that a proxy may name of one person.
const MOST_GROUPS: usize = 500;

/// Who sent a request.
///
/// # Errors
/// `bad_token`, `not_signed_in` where a proxy names nobody, `bad_request` where it names several.
pub fn caller(app: &App, peer: Option<&Peer>, request: &Request) -> Result<Caller, Refusal> {
    let headers = request.headers();
    let from = address(peer);
    let proxy = proxy(app, peer);
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        match given.to_str().unwrap_or_default().split_once(' ') {
            Some((scheme, token))
                if scheme.eq_ignore_ascii_case("bearer")
                    && (proxy.is_none() || token.trim().starts_with(Token::PREFIX)) =>
            {
                return app.by_token(token.trim(), &from);
            }
            // By which somebody has signed in at the proxy: its business.
            _ if proxy.is_some() => {}
            _ => {
                let message = "the Authorization header is not \"Bearer TOKEN\"; nothing else is taken here";
                return Err(Refusal::new(ErrorCode::BadToken, message));
            }
        }
    }
    if let Some(proxy) = proxy {
        return by_proxy(app, headers, &proxy);
    }
    if let Some(caller) = cookie(headers).and_then(|cookie| app.by_cookie(&cookie, is_use(request))) {
        return Ok(caller);
    }
    Ok(match peer {
        Some(Peer::Unix { uid: 0 }) if !is_passed_on(headers) => Caller::root(),
        // Whoever is passed on can be anywhere.
        _ if is_relayed(headers) => Caller::nobody(false, false),
        Some(Peer::Unix { .. } | Peer::Loopback(_)) => {
            Caller::nobody(true, app.config.people.look_without_name)
        }
        _ => Caller::nobody(false, false),
    })
}

/// Whether a proxy says that it has passed the request on.
fn is_relayed(headers: &HeaderMap) -> bool {
    ["via", "forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name))
}

/// Whether a browser has sent it, or a proxy that says so: such a one that runs as root must not make root of everybody.
/// One that says nothing cannot be told from root.
fn is_passed_on(headers: &HeaderMap) -> bool {
    is_relayed(headers) || ["origin", "sec-fetch-site"].iter().any(|name| headers.contains_key(*name))
}

/// The name of the proxy that this is, if we trust it.
fn proxy(app: &App, peer: Option<&Peer>) -> Option<String> {
    match peer? {
        Peer::Unix { uid } => app.proxy_of(*uid).map(str::to_owned),
        Peer::Host { certname } => {
            let hosts = &app.config.people.proxy.hosts;
            hosts.iter().find(|host| certname.eq_ignore_ascii_case(host)).cloned()
        }
        Peer::Loopback(_) | Peer::Remote(_) => None,
    }
}

fn by_proxy(app: &App, headers: &HeaderMap, proxy: &str) -> Result<Caller, Refusal> {
    let names = &app.config.people.proxy;
    let person = match one(headers, &names.person_header)? {
        Some(person) if people::is_name(&person) && person != "root" => person,
        Some(_) => {
            let message = format!(
                "the proxy {proxy} sent a name in {} that nobody can have; letters, digits and -._@+ make a name, and \
                 root is none",
                names.person_header
            );
            return Err(Refusal::new(ErrorCode::BadRequest, message));
        }
        None => {
            let message = format!(
                "the proxy {proxy} does not say who you are: it sent no {} header; sign in there, or see that it has \
                 people sign in before it passes them on",
                names.person_header
            );
            return Err(Refusal::new(ErrorCode::NotSignedIn, message));
        }
    };
    let groups = one(headers, &names.groups_header)?.unwrap_or_default();
    let groups =
        groups.split([',', ';']).map(str::trim).filter(|group| people::is_name(group)).take(MOST_GROUPS);
    Ok(app.by_proxy(&person, groups, proxy))
}

/// The value of a header that may stand there once. Twice means that a visitor's own got past the proxy.
fn one(headers: &HeaderMap, name: &str) -> Result<Option<String>, Refusal> {
    let Ok(name) = name.parse::<HeaderName>() else { return Ok(None) };
    let mut values = headers.get_all(&name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let value = value.to_str().map_err(|_| {
                Refusal::new(ErrorCode::BadRequest, format!("the header {name} is not plain text"))
            })?;
            Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
        }
        (Some(_), Some(_)) => Err(Refusal::new(
            ErrorCode::BadRequest,
            format!("the header {name} came twice; have the proxy remove it from what it is sent"),
        )),
    }
}

/// The value of our cookie.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// Whether somebody did this, rather than a page that refreshes itself (Fetch Metadata, `Sec-Fetch-Mode`).
fn is_use(request: &Request) -> bool {
    let mode = request.headers().get("sec-fetch-mode").and_then(|mode| mode.to_str().ok());
    request.method() != Method::GET || mode.is_none_or(|mode| mode == "navigate")
}

/// Refuses what a foreign page could have somebody's browser send in their name. What changes nothing may come from
/// anywhere: no foreign page can read the answer.
///
/// # Errors
/// `cross_site`.
pub fn ours(request: &Request, caller: &Caller, host_names: &[String]) -> Result<(), Refusal> {
    let headers = request.headers();
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let wrong = match (text("origin"), text("sec-fetch-site")) {
        (_, Some(site)) if site != "same-origin" && site != "none" => {
            format!("a page of another site ({site})")
        }
        (Some(origin), site) if site.is_none() && !is_our_origin(origin, headers, host_names) => {
            format!("a page of {:?}", origin.chars().take(100).collect::<String>())
        }
        (None, None) if caller.how.is_ambient() => "something that does not say which page it is".to_owned(),
        _ => return Ok(()),
    };
    Err(Refusal::new(
        ErrorCode::CrossSite,
        format!("{wrong} sent this in your name; only pages of this coordinator may, so nothing was done"),
    ))
}

/// Whether an origin is this coordinator as the browser sees it: the host it asked for, or a name in front of us.
fn is_our_origin(origin: &str, headers: &HeaderMap, host_names: &[String]) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    if scheme != "https" && scheme != "http" {
        return false;
    }
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    host.eq_ignore_ascii_case(asked) || host_names.contains(&name)
}

/// Whose requests are counted together; nobody's on this host.
pub fn counted(caller: &Caller, peer: Option<&Peer>) -> Option<String> {
    match (&caller.how, peer) {
        (How::Root, _) => None,
        (How::Nobody { is_local: true }, _) => None,
        (How::Nobody { .. }, peer) => Some(address(peer)),
        _ => Some(caller.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Rights;
    use axum::body::Body;

    fn request(method: Method, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        for (name, value) in headers {
            request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        request
    }

    fn proxied() -> Caller {
        let how = How::Proxy { proxy: "www-data".to_owned() };
        Caller { name: "jane".to_owned(), rights: Rights::default(), how }
    }

    #[test]
    fn a_foreign_page_cannot_post_in_somebodys_name() {
        let names = ["mw.cern.ch".to_owned()];
        let post = |headers: &[(&str, &str)], caller: &Caller| {
            let mut all = vec![("host", "127.0.0.1:8480")];
            all.extend(headers);
            ours(&request(Method::POST, &all), caller, &names)
        };
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8480")],
            &[("origin", "https://evil.example")],
            &[("origin", "https://mw.cern.ch.evil.example")],
            &[("origin", "https://evil.example/mw.cern.ch")],
            &[("origin", "null")],
            &[("origin", "file://mw.cern.ch")],
            &[],
        ] {
            let refusal = post(headers, &proxied()).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::CrossSite, "{headers:?}");
        }
        for headers in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", "http://127.0.0.1:8480")],
            &[("origin", "https://mw.cern.ch")],
            &[("origin", "https://MW.cern.ch:8443")],
        ] {
            assert_eq!(post(headers, &proxied()), Ok(()), "{headers:?}");
        }
        assert_eq!(post(&[], &Caller::root()), Ok(()), "no browser is root on the socket");
        assert_eq!(
            ours(&request(Method::GET, &[("sec-fetch-site", "cross-site")]), &proxied(), &names),
            Ok(())
        );
    }

    #[test]
    fn requests_are_counted_by_person_then_by_address_and_not_on_this_host() {
        let address = std::net::SocketAddr::from(([10, 0, 0, 1], 4));
        let (near, far) = (Some(&Peer::Loopback(address)), Some(&Peer::Remote(address)));
        assert_eq!(counted(&proxied(), far).as_deref(), Some("jane"));
        assert_eq!(counted(&proxied(), near).as_deref(), Some("jane"));
        assert_eq!(counted(&Caller::nobody(false, false), far).as_deref(), Some("10.0.0.1"));
        assert_eq!(counted(&Caller::nobody(true, true), near), None);
        assert_eq!(counted(&Caller::root(), Some(&Peer::Unix { uid: 0 })), None);
    }

    #[test]
    fn our_cookie_is_found_among_others_and_a_like_one_is_not() {
        let found = |line: &str| cookie(request(Method::GET, &[("cookie", line)]).headers());
        assert_eq!(found("a=b; __Host-millwright=0123; c=d").as_deref(), Some("0123"));
        for other in ["", "millwright=1", "__host-millwright=1", "x__Host-millwright=1", "__Host-millwright"]
        {
            assert_eq!(found(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_header_that_comes_twice_is_refused() {
        let twice = request(Method::GET, &[("x-remote-user", "jane"), ("x-remote-user", "root")]);
        assert!(one(twice.headers(), "x-remote-user").unwrap_err().message.contains("came twice"));
        let empty = request(Method::GET, &[("x-remote-user", " ")]);
        assert_eq!(one(empty.headers(), "x-remote-user"), Ok(None));
    }

    #[test]
    fn a_page_that_refreshes_itself_is_no_use_of_a_session() {
        assert!(is_use(&request(Method::GET, &[])));
        assert!(is_use(&request(Method::GET, &[("sec-fetch-mode", "navigate")])));
        assert!(!is_use(&request(Method::GET, &[("sec-fetch-mode", "cors")])));
        assert!(is_use(&request(Method::POST, &[("sec-fetch-mode", "cors")])));
    }
}
