"""Sockets: who connects, what is asked, how a reply goes out."""
