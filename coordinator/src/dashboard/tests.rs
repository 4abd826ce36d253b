//! What the pages mean, on example fleets.
