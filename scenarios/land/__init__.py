"""Land a quadrotor by the divergence of what an event camera sees below it."""
