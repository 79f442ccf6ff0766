//! What every TCP server needs: a handler for each client, and an orderly end.

use crate::contract::{Error, Signal};
use crate::net::{Connection, Listener, listen};
use crate::signals::signals;
use crate::task::{Either, Task, race, spawn};
use crate::time::{sleep, with_timeout};
use crate::{info, warn};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How a server listens and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// The granted port.
    pub port: u16,
    /// While so many clients are connected, no more are accepted; they wait in the backlog.
    pub connections_max: u32,
    /// How long clients that are still served may take when the server is told to stop. The host allows
    /// `stop_seconds_max` for all of it.
    pub grace: Duration,
}

/// After the system refused to give a connection, listening rests for so long: long enough not to be a busy loop,
/// short against what a client's own attempts to connect take.
const EXHAUSTED_REST: Duration = Duration::from_millis(100);

/// Serves clients: listens, starts `handler` as a task for each connection, and goes on until the operator says stop.
/// Then it accepts nobody any more, waits until all clients are served or the grace period is over, drops those who
/// are left, and returns.
///
/// Fails when the host cannot listen. That the system has no connection to give (`exhausted`) is logged, and does not
/// end the server; any other failure to accept ends it, and drops its clients.
pub async fn serve<H, F>(options: ServerOptions, handler: H) -> Result<(), Error>
where
    H: Fn(Client) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let mut listener = listen(options.port, options.connections_max).await?;
    info!("listening on port {}", listener.port());
    let clients = Rc::new(Clients::default());
    let _ends_with_this = (CancelOnDrop(spawn(obey_stop(Rc::clone(&clients)))), DropClients(Rc::clone(&clients)));
    while let Either::Left(connection) = race(accept(&mut listener, options), clients.stopped()).await {
        clients.start(connection?, &handler);
    }
    drop(listener);
    info!("stopping: {} clients are still served", clients.served.borrow().len());
    if with_timeout(options.grace, clients.all_served()).await.is_err() {
        warn!("{} clients were not served within the grace period", clients.served.borrow().len());
    }
    Ok(())
}

/// A client of [`serve`].
#[derive(Debug)]
pub struct Client {
    /// The connection with it.
    pub connection: Connection,
    clients: Rc<Clients>,
    waits: Waits,
}

impl Client {
    /// Whether the server was told to stop: what is under way should be finished, and nothing begun.
    pub fn stopping(&self) -> bool {
        self.clients.stopping.get()
    }

    /// Waits for a future, and drops it when the server is told to stop first: for the waits of an idle client. What
    /// is ready at once is not dropped.
    pub async fn until_stop<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if self.stopping() {
                return Poll::Ready(None);
            }
            self.wake_on_stop(cx);
            Poll::Pending
        })
        .await
    }

    /// Most clients wait in one task: then this is one comparison after the first time.
    fn wake_on_stop(&self, cx: &Context<'_>) {
        let mut waits = self.waits.borrow_mut();
        if !waits.iter().any(|waker| waker.will_wake(cx.waker())) {
            waits.push(cx.waker().clone());
        }
    }
}

/// Who waits under one client's [`Client::until_stop`]. Shared by the client and the server.
type Waits = Rc<RefCell<Vec<Waker>>>;

/// All that are served. Shared by the server, its clients, and the task that hears the operator.
#[derive(Debug, Default)]
struct Clients {
    stopping: Cell<bool>,
    /// By number. An entry is here until the client's task has ended.
    served: RefCell<BTreeMap<u64, Served>>,
    /// How many clients there ever were.
    count: Cell<u64>,
    /// The server, which waits for the stop, and then for the last client.
    server: RefCell<Option<Waker>>,
}

#[derive(Debug)]
struct Served {
    task: Task<()>,
    waits: Waits,
}

impl Clients {
    fn start<H, F>(self: &Rc<Self>, connection: Connection, handler: &H)
    where
        H: Fn(Client) -> F,
        F: Future<Output = ()> + 'static,
    {
        let number = self.count.get();
        self.count.set(number + 1);
        let waits = Waits::default();
        let client = Client { connection, clients: Rc::clone(self), waits: Rc::clone(&waits) };
        let handling = handler(client);
        let leaving = Leaving { clients: Rc::clone(self), number };
        let task = spawn(async move {
            let _leaving = leaving;
            handling.await;
        });
        self.served.borrow_mut().insert(number, Served { task, waits });
    }

    fn stop(&self) {
        self.stopping.set(true);
        let idle: Vec<Waker> = self.served.borrow().values().flat_map(|served| served.waits.borrow().clone()).collect();
        idle.iter().for_each(Waker::wake_by_ref);
        self.wake_server();
    }

    async fn stopped(&self) {
        self.wait_until(|clients| clients.stopping.get()).await;
    }

    async fn all_served(&self) {
        self.wait_until(|clients| clients.served.borrow().is_empty()).await;
    }

    async fn wait_until(&self, is_so: impl Fn(&Clients) -> bool) {
        std::future::poll_fn(|cx| {
            if is_so(self) {
                return Poll::Ready(());
            }
            *self.server.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn wake_server(&self) {
        let waker = self.server.borrow_mut().take();
        waker.inspect(Waker::wake_by_ref);
    }
}

/// Owned by a client's task: takes the client out when the task ends, however it does.
struct Leaving {
    clients: Rc<Clients>,
    number: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let left = self.clients.served.borrow_mut().remove(&self.number);
        drop(left);
        if self.clients.stopping.get() {
            self.clients.wake_server();
        }
    }
}

/// Owned by the server: drops those who are still served when it ends.
struct DropClients(Rc<Clients>);

impl Drop for DropClients {
    fn drop(&mut self) {
        let left = std::mem::take(&mut *self.0.served.borrow_mut());
        left.values().for_each(|served| served.task.cancel());
    }
}

struct CancelOnDrop(Task<()>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The next connection, however often the system has none to give meanwhile.
async fn accept(listener: &mut Listener, options: ServerOptions) -> Result<Connection, Error> {
    loop {
        match listener.accept().await {
            Err(Error::Exhausted) => {
                warn!("the system has no connection to give; listening again in {EXHAUSTED_REST:?}");
                sleep(EXHAUSTED_REST).await;
                // A failure is final for the host, so this is a new request. When it fails alike, the rest is repeated.
                match listen(options.port, options.connections_max).await {
                    Err(Error::Exhausted) => {}
                    again => *listener = again?,
                }
            }
            connection => return connection,
        }
    }
}

/// Waits for the operator's stop. A server whose host has no signals runs until the host ends it.
async fn obey_stop(clients: Rc<Clients>) {
    let mut signals = signals();
    loop {
        match signals.next().await {
            Ok(Signal::Stop) => return clients.stop(),
            Ok(Signal::Reload | Signal::Pause) => {}
            Err(error) => return warn!("cannot be told to stop: {error}"),
        }
    }
}
