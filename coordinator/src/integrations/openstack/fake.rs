//! A cloud in memory, in the shapes of Keystone 22, Nova 26, Cinder 21 and Glance 25, with what goes wrong there.
//!
//! Requests are done by and by: a server is seen to be busy for some looks before it is as wanted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fake of the tests")]

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::net::TcpListener;

pub const PROJECT: &str = "ALICE CI";
pub const USER: &str = "664c1892345a4a4fbb715ddaab101805";

/// Everything there is, and what goes wrong.
pub struct Cloud {
    pub address: String,
    pub servers: Vec<Value>,
    pub volumes: Vec<Value>,
    pub images: Vec<Value>,
    pub actions: BTreeMap<String, Vec<Value>>,
    /// Every request that changed something, as `POST servers/…/action reboot`.
    pub changes: Vec<String>,
    /// Tokens that are good.
    pub tokens: Vec<String>,
    pub issued: usize,
    pub keystone_is_down: bool,
    /// The part that runs servers takes requests and does nothing.
    pub compute_is_down: bool,
    /// The next request that changes something is done and answered with this.
    pub answer_instead: Option<StatusCode>,
    /// Acts that fail, by their word in the log.
    pub fails: Vec<&'static str>,
    pub highest_version: &'static str,
    pub page: usize,
    /// Looks that a request lasts.
    pub lasts: usize,
    /// Servers with something being done to them: how many looks are left, and what it becomes.
    under_way: BTreeMap<String, (usize, &'static str, &'static str)>,
    pub start_time: String,
    numbers: usize,
}

/// The shared cloud, running.
#[derive(Clone)]
pub struct Fake(Arc<Mutex<Cloud>>);

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let cloud = Cloud {
            address,
            servers: Vec::new(),
            volumes: Vec::new(),
            images: vec![
                image("i-old", "ALMA9 - x86_64", "active", "2026-01-01T00:00:00Z"),
                image("i-new", "ALMA9 - x86_64 (new)", "active", "2026-02-01T00:00:00Z"),
                image("i-newer", "ALMA9 - x86_64 (newer)", "deactivated", "2026-03-01T00:00:00Z"),
                image("i-other", "CC7", "active", "2026-04-01T00:00:00Z"),
            ],
            actions: BTreeMap::new(),
            changes: Vec::new(),
            tokens: Vec::new(),
            issued: 0,
            keystone_is_down: false,
            compute_is_down: false,
            answer_instead: None,
            fails: Vec::new(),
            highest_version: "2.93",
            page: 1000,
            lasts: 2,
            under_way: BTreeMap::new(),
            start_time: "2026-01-31T10:00:00.000000".to_owned(),
            numbers: 0,
        };
        let fake = Self(Arc::new(Mutex::new(cloud)));
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    pub fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.0.lock().unwrap()
    }

    /// A running server.
    pub fn add(&self, id: &str, name: &str) {
        self.cloud().servers.push(server(id, name));
    }

    /// Sets a field of a server.
    pub fn set(&self, id: &str, field: &str, value: Value) {
        let mut cloud = self.cloud();
        let server = cloud.servers.iter_mut().find(|server| server["id"] == id).unwrap();
        server[field] = value;
    }

    /// A volume, attached where a server is named.
    pub fn add_volume(&self, id: &str, name: &str, server: Option<&str>) {
        let mut cloud = self.cloud();
        let attachments: Vec<Value> =
            server.iter().map(|server| json!({ "server_id": server, "volume_id": id })).collect();
        let status = if server.is_some() { "in-use" } else { "available" };
        cloud.volumes.push(json!({ "id": id, "name": name, "status": status, "size": 500,
            "attachments": attachments, "metadata": {}, "bootable": "false" }));
        if let Some(server) =
            cloud.servers.iter_mut().find(|known| Some(known["id"].as_str().unwrap()) == server)
        {
            let attached = json!({ "id": id, "delete_on_termination": false });
            server["os-extended-volumes:volumes_attached"].as_array_mut().unwrap().push(attached);
        }
    }

    pub fn changes(&self) -> Vec<String> {
        self.cloud().changes.clone()
    }
}

pub fn server(id: &str, name: &str) -> Value {
    json!({
        "id": id, "name": name, "status": "ACTIVE", "tenant_id": "p1", "created": "2026-01-30T18:18:06Z",
        "image": { "id": "i-old", "links": [] }, "flavor": { "vcpus": 8, "original_name": "m2.2xlarge" },
        "OS-EXT-AZ:availability_zone": "cern-geneva-c", "OS-EXT-STS:task_state": null,
        "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1,
        "os-extended-volumes:volumes_attached": [], "locked": false, "locked_reason": null, "metadata": {},
    })
}

fn image(id: &str, name: &str, status: &str, created: &str) -> Value {
    json!({ "id": id, "name": name, "status": status, "created_at": created, "os_distro": "ALMA" })
}

async fn answer(
    State(fake): State<Fake>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    fake.cloud().answer(&method, uri.path(), uri.query().unwrap_or_default(), &headers, &body)
}

fn say(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body.to_string())
        .into_response()
}

fn fault(status: u16, key: &str, message: &str) -> Response {
    say(status, &json!({ key: { "code": status, "message": message } }))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

impl Cloud {
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &Value,
    ) -> Response {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if parts[0] == "identity" {
            return self.keystone(body);
        }
        let is_glance = parts[0] == "image";
        let token = headers.get("x-auth-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if self.keystone_is_down && !is_glance {
            return say(
                503,
                &json!({ "message": "The Keystone service is temporarily unavailable.<br />",
                "code": "503 Service Unavailable", "title": "Service Unavailable" }),
            );
        }
        if self.keystone_is_down || !self.tokens.iter().any(|good| good == token) {
            let said = "This server could not verify that you are authorized.<br />";
            return match is_glance {
                true => {
                    say(401, &json!({ "message": said, "code": "401 Unauthorized", "title": "Unauthorized" }))
                }
                false => fault(401, "error", "The request you have made requires authentication."),
            };
        }
        let changed = self.changes.len();
        let answer = match parts.as_slice() {
            ["compute", "v2.1", rest @ ..] => self.nova(method, rest, query, headers, body),
            ["volume", "v3", "p1", rest @ ..] => self.cinder(method, rest, query, body),
            ["image", "v2", "images"] => self.glance(query),
            _ => fault(404, "itemNotFound", "no such place"),
        };
        // It was done, and whoever asked is told nothing of it.
        match self.answer_instead.filter(|_| self.changes.len() > changed) {
            Some(status) => {
                self.answer_instead = None;
                (status, "<html>upstream</html>").into_response()
            }
            None => answer,
        }
    }

    fn keystone(&mut self, body: &Value) -> Response {
        if self.keystone_is_down {
            return (StatusCode::BAD_GATEWAY, "<html>502</html>").into_response();
        }
        let identity = &body["auth"]["identity"];
        let secret = match identity["methods"][0].as_str() {
            Some("password") => &identity["password"]["user"]["password"],
            _ => &identity["application_credential"]["secret"],
        };
        if secret != "geheim" {
            return fault(401, "error", "The request you have made requires authentication.");
        }
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        self.tokens.push(token.clone());
        let endpoints = |path: &str| {
            ["admin", "internal", "public"].map(|interface| {
                json!({ "interface": interface, "region_id": "cern", "region": "cern",
                    "url": format!("{}/{path}", self.address) })
            })
        };
        let said = json!({ "token": {
            "methods": ["password"], "user": { "id": USER, "name": "alibuild" },
            "project": { "id": "p1", "name": PROJECT },
            "issued_at": "2026-01-31T10:00:00.000000Z", "expires_at": "2026-01-31T11:00:00.000000Z",
            "catalog": [
                { "type": "volumev3", "name": "cinderv3", "endpoints": endpoints("volume/v3/p1") },
                { "type": "image", "name": "glance", "endpoints": endpoints("image") },
                { "type": "compute", "name": "nova", "endpoints": endpoints("compute/v2.1") },
            ],
        } });
        (StatusCode::CREATED, [("x-subject-token", token)], said.to_string()).into_response()
    }

    /// A page of a list, with a link to the next that leads nowhere good.
    fn page(&self, all: Vec<Value>, query: &str, key: &str) -> Response {
        let after = parameter(query, "marker").map_or(0, |marker| {
            all.iter().position(|entry| entry["id"] == marker).map_or(0, |place| place + 1)
        });
        let limit: usize = parameter(query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(1000);
        let rest: Vec<Value> = all.into_iter().skip(after).collect();
        let size = self.page.min(limit);
        let more = rest.len() > size;
        let mut page = json!({ key: rest.into_iter().take(size).collect::<Vec<_>>() });
        if more {
            page[format!("{key}_links")] = json!([{ "rel": "next", "href": "http://elsewhere.invalid/" }]);
            page["next"] = json!("/v2/elsewhere");
        }
        say(200, &page)
    }

    fn glance(&self, query: &str) -> Response {
        self.page(self.images.clone(), query, "images")
    }

    fn nova(
        &mut self,
        method: &Method,
        parts: &[&str],
        query: &str,
        headers: &HeaderMap,
        body: &Value,
    ) -> Response {
        let [_, ..] = parts else {
            return say(
                200,
                &json!({ "version": { "id": "v2.1", "status": "CURRENT",
                "version": self.highest_version, "min_version": "2.1" } }),
            );
        };
        if headers.get("x-openstack-nova-api-version").is_none() {
            return fault(406, "computeFault", "a test wants the version pinned");
        }
        match (method.as_str(), parts) {
            ("GET", ["servers", "detail"]) => {
                let name = parameter(query, "name").unwrap_or_default().trim_start_matches("%5E");
                let name = name.trim_end_matches("%24").replace('.', "");
                // As a pattern does: whatever contains it. One in a part that is down has no name.
                let fits = |server: &&Value| server["name"].as_str().is_none_or(|own| own.contains(&name));
                let all = self.servers.iter().filter(fits).cloned().collect();
                self.page(all, query, "servers")
            }
            ("GET", ["flavors"]) => say(
                200,
                &json!({ "flavors": [
                { "id": "f1", "name": "m2.small" }, { "id": "f2", "name": "m2.2xlarge" } ] }),
            ),
            ("POST", ["servers"]) => self.new_server(&body["server"]),
            ("GET", ["servers", id, "os-instance-actions"]) => match self.actions.get(*id) {
                Some(actions) => say(200, &json!({ "instanceActions": actions })),
                None if self.has(id) => say(200, &json!({ "instanceActions": [] })),
                None => fault(404, "itemNotFound", "Instance could not be found."),
            },
            ("GET", ["servers", id, "os-instance-actions", request]) => {
                let all = self.actions.get(*id).into_iter().flatten();
                match all.into_iter().find(|action| action["request_id"] == *request) {
                    Some(action) => say(200, &json!({ "instanceAction": action })),
                    None => fault(404, "itemNotFound", "Action for request_id not found"),
                }
            }
            (_, ["servers", id, ..]) if !self.has(id) => {
                fault(404, "itemNotFound", &format!("Instance {id} could not be found."))
            }
            ("GET", ["servers", id]) => {
                self.go_on(id);
                match self.servers.iter().find(|server| server["id"] == *id) {
                    Some(server) => say(200, &json!({ "server": server })),
                    None => fault(404, "itemNotFound", "Instance could not be found."),
                }
            }
            ("GET", ["servers", id, "os-volume_attachments"]) => {
                let on = |volume: &&Value| volume["attachments"][0]["server_id"] == *id;
                // Without `id`, as from 2.89 on.
                let all: Vec<Value> = self.volumes.iter().filter(on).map(|volume| {
                    json!({ "volumeId": volume["id"], "serverId": id, "delete_on_termination": false })
                }).collect();
                say(200, &json!({ "volumeAttachments": all }))
            }
            ("POST", ["servers", id, "os-volume_attachments"]) => {
                let wanted = body["volumeAttachment"]["volumeId"].clone();
                self.changes.push(format!("attach {}", wanted.as_str().unwrap()));
                let volume = self.volumes.iter_mut().find(|volume| volume["id"] == wanted).unwrap();
                volume["attachments"] = json!([{ "server_id": id }]);
                volume["status"] = json!("in-use");
                say(200, &json!({ "volumeAttachment": { "volumeId": wanted } }))
            }
            ("POST", ["servers", id, "action"]) => self.act(id, body),
            ("DELETE", ["servers", id]) => self.begin(id, "delete", "deleting", "gone", 204),
            _ => fault(404, "itemNotFound", "no such place"),
        }
    }

    fn has(&self, id: &str) -> bool {
        self.servers.iter().any(|server| server["id"] == id)
    }

    fn act(&mut self, id: &str, body: &Value) -> Response {
        let kind = body.as_object().unwrap().keys().next().unwrap().clone();
        let server = self.servers.iter_mut().find(|server| server["id"] == id).unwrap();
        match kind.as_str() {
            "lock" | "unlock" => {
                self.changes.push(format!("{kind} {id}"));
                server["locked"] = json!(kind == "lock");
                server["locked_reason"] = body["lock"]["locked_reason"].clone();
                say(202, &Value::Null)
            }
            // A soft one asks the machine itself, which has to be there for that.
            "reboot" if body["reboot"]["type"] != "HARD" && server["status"] != "ACTIVE" => {
                fault(409, "conflictingRequest", "Cannot 'reboot' instance while it is in vm_state stopped")
            }
            "reboot" => self.begin(id, "reboot", "rebooting_hard", "ACTIVE", 202),
            "rebuild" => {
                server["image"] = json!({ "id": body["rebuild"]["imageRef"] });
                self.begin(id, "rebuild", "rebuilding", "ACTIVE", 202)
            }
            "os-stop" => self.begin(id, "stop", "powering-off", "SHUTOFF", 202),
            "os-start" => self.begin(id, "start", "powering-on", "ACTIVE", 202),
            other => fault(400, "badRequest", &format!("There is no such action: {other}")),
        }
    }

    fn begin(
        &mut self,
        id: &str,
        word: &'static str,
        task: &str,
        becomes: &'static str,
        status: u16,
    ) -> Response {
        let server = self.servers.iter_mut().find(|server| server["id"] == id).unwrap();
        if server["locked"] == true {
            return fault(409, "conflictingRequest", &format!("Instance {id} is locked"));
        }
        self.changes.push(format!("{word} {id}"));
        self.numbers += 1;
        let request = format!("req-{}", self.numbers);
        server["OS-EXT-STS:task_state"] = json!(task);
        match word {
            "reboot" => server["status"] = json!("HARD_REBOOT"),
            "rebuild" => server["status"] = json!("REBUILD"),
            _ => {}
        }
        self.under_way.insert(id.to_owned(), (self.lasts, word, becomes));
        let action = json!({ "action": word, "request_id": request, "user_id": USER,
            "start_time": self.start_time, "message": null, "events": [{ "finish_time": null, "result": null }] });
        self.actions.entry(id.to_owned()).or_default().insert(0, action);
        (StatusCode::from_u16(status).unwrap(), [("x-compute-request-id", request)]).into_response()
    }

    /// One more look at a server.
    fn go_on(&mut self, id: &str) {
        let Some((left, word, becomes)) = self.under_way.get_mut(id) else { return };
        if self.compute_is_down {
            return;
        }
        if *left > 0 {
            *left -= 1;
            return;
        }
        let (word, becomes) = (*word, *becomes);
        self.under_way.remove(id);
        let fails = self.fails.contains(&word);
        let action = &mut self.actions.get_mut(id).unwrap()[0];
        action["message"] = if fails { json!("Error") } else { Value::Null };
        action["events"] = json!([{ "finish_time": "2026-01-31T10:00:01.000000",
            "result": if fails { "Error" } else { "Success" } }]);
        if becomes == "gone" && !fails {
            self.servers.retain(|server| server["id"] != id);
            for volume in &mut self.volumes {
                if volume["attachments"][0]["server_id"] == id {
                    volume["attachments"] = json!([]);
                    volume["status"] = json!("available");
                }
            }
            return;
        }
        let server = self.servers.iter_mut().find(|server| server["id"] == id).unwrap();
        server["OS-EXT-STS:task_state"] = Value::Null;
        server["status"] = json!(if fails { "ERROR" } else { becomes });
        if fails {
            server["fault"] = json!({ "code": 500, "message": "labfake: it fails as told" });
        }
    }

    fn new_server(&mut self, wanted: &Value) -> Response {
        self.numbers += 1;
        let id = format!("new-{}", self.numbers);
        let mut server = server(&id, wanted["name"].as_str().unwrap());
        server["image"] = json!({ "id": wanted["imageRef"] });
        server["metadata"] = wanted["metadata"].clone();
        server["status"] = json!("BUILD");
        server["OS-EXT-STS:task_state"] = json!("scheduling");
        server["OS-EXT-AZ:availability_zone"] = wanted["availability_zone"].clone();
        self.changes.push(format!("create {}", wanted["name"].as_str().unwrap()));
        self.servers.push(server);
        self.actions.insert(
            id.clone(),
            vec![json!({ "action": "create", "request_id": "req-new",
            "user_id": USER, "start_time": self.start_time, "message": null })],
        );
        self.under_way.insert(id.clone(), (self.lasts, "create", "ACTIVE"));
        say(202, &json!({ "server": { "id": id, "adminPass": "x", "links": [] } }))
    }

    fn cinder(&mut self, method: &Method, parts: &[&str], query: &str, body: &Value) -> Response {
        let place = |id: &str, volumes: &[Value]| volumes.iter().position(|volume| volume["id"] == id);
        match (method.as_str(), parts) {
            ("GET", ["volumes", "detail"]) => self.page(self.volumes.clone(), query, "volumes"),
            ("POST", ["volumes"]) => {
                self.numbers += 1;
                let wanted = &body["volume"];
                let volume = json!({ "id": format!("v-{}", self.numbers), "name": wanted["name"],
                    "status": "available", "size": wanted["size"], "attachments": [],
                    "metadata": wanted["metadata"] });
                self.changes.push(format!("volume {}", wanted["name"].as_str().unwrap()));
                self.volumes.push(volume.clone());
                say(202, &json!({ "volume": volume }))
            }
            ("GET", ["volumes", id]) => match place(id, &self.volumes) {
                Some(place) => say(200, &json!({ "volume": self.volumes[place] })),
                None => fault(404, "itemNotFound", &format!("Volume {id} could not be found.")),
            },
            ("DELETE", ["volumes", id]) => match place(id, &self.volumes) {
                Some(place) if self.volumes[place]["status"] != "available" => {
                    fault(400, "badRequest", "Invalid volume: Volume status must be available or error")
                }
                Some(place) => {
                    self.changes.push(format!("delete volume {id}"));
                    self.volumes.remove(place);
                    say(202, &Value::Null)
                }
                None => fault(404, "itemNotFound", "no volume"),
            },
            _ => fault(404, "itemNotFound", "no such place"),
        }
    }
}
