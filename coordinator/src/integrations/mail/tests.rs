//! Mail beside a server that takes it, refuses it, says nothing, or hangs up at the worst moment.

use super::{
    fake::{Failing, FakeMail},
    *,
};
use crate::notice::Level;
use std::{io::Write, os::unix::fs::PermissionsExt};
use uuid::Uuid;

fn parcel(id: &str, root: Option<&str>, text: &str) -> Parcel {
    let notice = Notice {
        at: jiff::Timestamp::UNIX_EPOCH,
        level: Level::Info,
        node: Some("alibuild10".into()),
        subject: "op-17".into(),
        operation: Some("op-17".into()),
        text: text.into(),
    };
    Parcel { id: id.into(), notice, root: root.map(str::to_owned) }
}

fn config(address: &str) -> Config {
    let (host, port) = address.rsplit_once(':').unwrap();
    Config {
        host: host.to_owned(),
        port: port.parse().unwrap(),
        security: Security::None,
        ca: None,
        credentials: None,
        from: "Millwright <millwright@lab.test>".parse().unwrap(),
        to: vec!["jane@lab.test".parse().unwrap()],
    }
}

fn mail(config: &Config, timeout: Duration) -> Mail {
    let store = Incarnation { cluster: Uuid::nil(), generation: 2 };
    Mail::new(config, &config.to[0], timeout, store, &Tallies::default())
}

async fn to(server: &FakeMail) -> Mail {
    mail(&config(&server.start().await.unwrap()), Duration::from_secs(5))
}

#[tokio::test]
async fn an_operation_has_one_subject_and_one_thread() {
    let server = FakeMail::default();
    let mail = to(&server).await;
    let root = mail.tell(&parcel("1", None, "alice wants alibuild10 rebuilt")).await.unwrap().root.unwrap();
    mail.tell(&parcel("2", Some(&root), "it is done")).await.unwrap();
    let [first, second] = &server.mails()[..] else { panic!("{:?}", server.mails()) };
    assert_eq!(
        (first.from.as_str(), &first.to[..]),
        ("<millwright@lab.test>", &["<jane@lab.test>".to_owned()][..])
    );
    for one in [first, second] {
        assert_eq!(one.header("Subject").unwrap(), "[millwright] op-17 alibuild10");
        assert_eq!(one.header("Auto-Submitted").unwrap(), "auto-generated");
    }
    assert_eq!(first.header("Message-ID").as_ref(), Some(&root));
    assert_eq!(first.header("In-Reply-To"), None);
    assert_eq!(
        (second.header("In-Reply-To"), second.header("References")),
        (Some(root.clone()), Some(root.clone()))
    );
    assert_ne!(second.header("Message-ID"), Some(root));
    assert!(first.text.contains("alice wants alibuild10 rebuilt\r\n"), "{}", first.text);
}

#[tokio::test]
async fn a_mail_that_may_have_been_taken_is_sent_again_under_the_same_message_id() {
    let server = FakeMail::default();
    let mail = to(&server).await;
    server.fails(".", Some(Failing::Closes));
    let why = mail.tell(&parcel("1", None, "x")).await.unwrap_err();
    assert!(matches!(&why, NotTold::Later(why) if why.contains("may have been taken")), "{why:?}");
    server.fails(".", None);
    mail.tell(&parcel("1", None, "x")).await.unwrap();
    let ids: Vec<_> = server.mails().iter().map(|one| one.header("Message-ID").unwrap()).collect();
    assert_eq!(ids, [ids[0].clone(), ids[0].clone()]);
    assert!(ids[0].contains(".2.00000000-"), "a store that was put back never uses it again: {ids:?}");
}

#[tokio::test]
async fn a_server_that_says_no_for_now_is_asked_again_and_a_recipient_it_does_not_know_is_named() {
    let server = FakeMail::default();
    let mail = to(&server).await;
    for (at, says, expected) in [
        ("hello", "421 too busy", "421"),
        ("MAIL", "451 try later", "451"),
        ("RCPT", "450 greylisted", "jane@lab.test is refused"),
        ("RCPT", "550 no such user here", "see notice.mail.to"),
        ("DATA", "452 disk full", "452"),
        (".", "451 try later", "451"),
    ] {
        server.fails(at, Some(Failing::Says(says)));
        let why = mail.tell(&parcel("1", None, "x")).await.unwrap_err();
        assert!(matches!(&why, NotTold::Later(why) if why.contains(expected)), "{at} {says}: {why:?}");
        assert!(!why.to_string().contains("may have been taken"), "{at} {says}: {why:?}");
        server.fails(at, None);
    }
    assert_eq!(server.mails(), []);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_what_it_says_is_told_apart() {
    let server = FakeMail::default();
    let mail = to(&server).await;
    server.fails(".", Some(Failing::Says("554 looks like spam")));
    let why = mail.tell(&parcel("1", None, "x")).await.unwrap_err();
    assert!(matches!(&why, NotTold::Refused(why) if why.contains("spam")), "{why:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    for (at, may_have) in [("hello", false), ("RCPT", false), (".", true)] {
        let server = FakeMail::default();
        let mail = mail(&config(&server.start().await.unwrap()), Duration::from_millis(300));
        server.fails(at, Some(Failing::Hangs));
        let why = mail.tell(&parcel("1", None, "x")).await.unwrap_err().to_string();
        assert_eq!(why.contains("may have been taken"), may_have, "{at}: {why}");
        assert!(why.contains("within"), "{at}: {why}");
    }
}

#[tokio::test]
async fn nothing_an_outsider_wrote_becomes_a_header_or_a_command() {
    let server = FakeMail::default();
    let mail = to(&server).await;
    let mut evil = parcel("1", None, "x\r\n.\r\nMAIL FROM:<evil@lab.test>\r\nBcc: all@lab.test");
    evil.notice.node = Some("n\r\nBcc: all@lab.test\r\n\r\nbody".into());
    evil.id = "1>\r\nBcc: all@lab.test".into();
    mail.tell(&evil).await.unwrap();
    let [only] = &server.mails()[..] else { panic!("{:?}", server.mails()) };
    assert_eq!(only.header("Bcc"), None, "{}", only.text);
    assert_eq!((only.from.as_str(), only.to.len()), ("<millwright@lab.test>", 1));
    assert!(only.header("Subject").unwrap().contains("n Bcc: all@lab.test body"), "{}", only.text);
}

#[tokio::test]
async fn a_server_that_wants_to_know_who_sends_gets_the_password_of_the_file() {
    let server = FakeMail::default();
    let mut config = config(&server.start().await.unwrap());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"s3cret\n").unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    let secret_file = file.path().to_owned();
    config.credentials =
        Some(crate::integrations::peer::Credentials { user: "millwright".into(), secret_file });
    let mail = mail(&config, Duration::from_secs(5));
    mail.check().unwrap();
    mail.tell(&parcel("1", None, "x")).await.unwrap();
    // "\0millwright\0s3cret"
    assert_eq!(server.login(), "AUTH PLAIN AG1pbGx3cmlnaHQAczNjcmV0");
    server.fails("AUTH", Some(Failing::Says("535 bad credentials")));
    let why = mail.tell(&parcel("2", None, "x")).await.unwrap_err().to_string();
    assert!(why.contains("535") && why.contains("notice.mail.user") && !why.contains("s3cret"), "{why}");
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_where_tls_is_wanted() {
    let server = FakeMail::default();
    for security in [Security::StartTls, Security::Tls] {
        drop(rustls::crypto::ring::default_provider().install_default());
        let config = Config { security, ..config(&server.start().await.unwrap()) };
        let why = mail(&config, Duration::from_secs(2)).tell(&parcel("1", None, "x")).await.unwrap_err();
        assert!(matches!(why, NotTold::Later(_)), "{security:?}: {why:?}");
    }
    assert_eq!(server.mails(), []);
}
