//! Browsers: signing in with a token, the session's cookie, forms, signing out.

use super::rig::{Answer, Rig};

/// A browser with at most one cookie, that sends what browsers send.
struct Browser<'a> {
    rig: &'a Rig,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    fn new(rig: &'a Rig) -> Self {
        Self { rig, cookie: None }
    }

    async fn ask(&mut self, first: &str, headers: &str, body: &str) -> Answer {
        let cookie = self.cookie.as_ref().map_or_else(String::new, |cookie| format!("cookie: {cookie}\r\n"));
        let head = format!("{first} HTTP/1.1\r\naccept: text/html\r\n{cookie}{headers}");
        let answer = self.rig.tcp(self.rig.operators, &head, body.as_bytes()).await;
        if let Some((_, set)) = answer.head.split_once("set-cookie: ") {
            let pair = set.split(';').next().unwrap().replace("__host-", "__Host-");
            self.cookie = Some(pair).filter(|pair| !pair.ends_with('='));
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "sec-fetch-mode: navigate\r\n", "").await
    }

    async fn post(&mut self, path: &str, form: &str) -> Answer {
        let headers = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: same-origin\r\n";
        self.ask(&format!("POST {path}"), headers, form).await
    }

    async fn name(&mut self) -> String {
        self.get("/api/v1/me").await.body["name"].as_str().unwrap_or("nobody").to_owned()
    }

    async fn seal(&mut self) -> String {
        let page = self.get("/me").await.body.as_str().unwrap().to_owned();
        page.split("name=\"seal\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_browser_signs_in_is_known_and_signs_out() {
    let rig = Rig::start().await;
    let (secret, _) = rig.token("operate").await;
    let mut browser = Browser::new(&rig);
    assert_eq!(browser.name().await, "nobody");
    let answer = browser.post("/sign-in", &format!("token={secret}&next=/nodes/n01")).await;
    assert!(answer.status == 303 && answer.head.contains("location: /nodes/n01\r\n"), "{}", answer.head);
    for part in ["path=/;", "secure", "httponly", "samesite=strict"] {
        assert!(answer.head.contains(part), "{part}: {}", answer.head);
    }
    assert_eq!(browser.name().await, "jane");
    let cookie = browser.cookie.clone();
    let seal = browser.seal().await;
    assert_eq!(browser.post("/sign-out", &format!("seal={seal}")).await.status, 303);
    assert_eq!(browser.cookie, None);
    let mut stolen = Browser { rig: &rig, cookie };
    assert_eq!(stolen.name().await, "nobody", "a cookie is no good once its owner has signed out");
}

#[tokio::test]
async fn a_wrong_token_signs_nobody_in_and_the_page_says_why() {
    let rig = Rig::start().await;
    let mut browser = Browser::new(&rig);
    let answer = browser.post("/sign-in", "token=mwt_%3Cscript%3E&next=//evil.example").await;
    let page = answer.body.as_str().unwrap();
    assert!(answer.status == 401 && page.contains("knows no such token"), "{page}");
    assert!(page.contains("name=\"next\" value=\"/\""), "{page}");
    assert_eq!((browser.cookie.is_none(), browser.name().await.as_str()), (true, "nobody"));
}

#[tokio::test]
async fn nobody_is_signed_in_by_a_foreign_page() {
    let rig = Rig::start().await;
    let (secret, _) = rig.token("operate").await;
    let mut browser = Browser::new(&rig);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    for site in ["sec-fetch-site: cross-site\r\n", "origin: https://evil.example\r\n", "origin: null\r\n"] {
        let answer = browser.ask("POST /sign-in", &format!("{form}{site}"), &format!("token={secret}")).await;
        assert_eq!((answer.status, &answer.body["code"]), (403, &"cross_site".into()), "{}", answer.body);
    }
    assert_eq!(browser.cookie, None);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let rig = Rig::start().await;
    let (secret, _) = rig.token("operate").await;
    let mut browser = Browser::new(&rig);
    browser.post("/sign-in", &format!("token={secret}")).await;
    let (json, dead) = ("content-type: application/json\r\n", "{\"reason\": \"x\"}");
    for headers in ["", "sec-fetch-site: cross-site\r\n", "origin: https://evil.example\r\n"] {
        let answer = browser.ask("POST /api/v1/nodes/n01/dead", &format!("{json}{headers}"), dead).await;
        assert_eq!((answer.status, &answer.body["code"]), (403, &"cross_site".into()), "{}", answer.body);
    }
    for form in ["", "seal=", "seal=0000"] {
        assert_eq!(browser.post("/sign-out", form).await.status, 403, "{form:?}");
        assert_eq!(
            browser.post("/me/tokens", &format!("{form}&may=view&days=7")).await.status,
            403,
            "{form:?}"
        );
    }
    assert_eq!(browser.name().await, "jane");
    let ours = format!("{json}sec-fetch-site: same-origin\r\n");
    assert_eq!(browser.ask("POST /api/v1/nodes/n01/dead", &ours, dead).await.status, 200);
}

#[tokio::test]
async fn an_administrator_makes_and_revokes_tokens_on_the_page() {
    let rig = Rig::start().await;
    let (secret, _) = rig.token("admin").await;
    let mut browser = Browser::new(&rig);
    browser.post("/sign-in", &format!("token={secret}")).await;
    let seal = browser.seal().await;
    let wrong = browser.post("/me/tokens", &format!("seal={seal}&person=%3Cb%3E&may=view&days=7")).await;
    assert!(wrong.status == 400 && !wrong.body.as_str().unwrap().contains("<b>"), "{}", wrong.body);
    let form = format!("seal={seal}&person=joe&label=%3Cscript%3Ealert(1)%3C/script%3E&may=view&days=30");
    let made = browser.post("/me/tokens", &form).await;
    let page = made.body.as_str().unwrap();
    let joes = page.split("mwt_").nth(1).map(|rest| format!("mwt_{}", &rest[..64])).unwrap();
    assert!(!page.contains("<script>alert"), "{page}");
    assert_eq!(rig.with_token(&joes, "GET /api/v1/me", None).await.body["name"], "joe");
    assert!(!browser.get("/me").await.body.as_str().unwrap().contains(&joes), "it is shown once");
    let id = rig.with_token(&joes, "GET /api/v1/me", None).await.body["token"]["id"].clone();
    let revoke = format!("seal={seal}&id={}", id.as_str().unwrap());
    assert_eq!(browser.post("/me/tokens/revoke", &revoke).await.status, 303);
    assert_eq!(rig.with_token(&joes, "GET /api/v1/me", None).await.status, 401);
}
