-- One database for Synapse, which insists on the C locale, and one for each bridge. Run when the database server is first started.
CREATE DATABASE synapse TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE whatsapp;
CREATE DATABASE signal;
CREATE DATABASE telegram;
