"""The maintenance qube's services: keys, the server's authorized_keys, repositories, delivery.

Runs only in the maintenance qube, as its default user. Holds the admin key; a client's secrets
stay only until they are delivered, proved and escrowed.
"""
