//! Stories about the fleet, told in rounds of ten seconds with a clock that is turned by hand.

mod brake;
mod empty;
mod health;
mod identity;
mod jenkins;
mod mesos;
mod mesos_dns;
mod offers;
mod openstack;
mod owners;
mod places;
mod schedulers;
mod size;
mod start;
mod views;
mod zookeeper;
