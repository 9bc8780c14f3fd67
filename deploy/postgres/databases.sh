#!/bin/sh
# One database and one role for each program, which can't connect to the others' databases. Run when the database server is first started.
set -eu

create() {
  psql --set=ON_ERROR_STOP=1 --set=name="$1" --set=password="$2" --username="$POSTGRES_USER" --dbname=postgres <<-SQL
	CREATE ROLE :"name" LOGIN PASSWORD :'password';
	CREATE DATABASE :"name" OWNER :"name" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
	REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

# Synapse insists on the C locale, and the bridges have no use for another.
create synapse "$SYNAPSE_DB_PASSWORD"
create whatsapp "$WHATSAPP_DB_PASSWORD"
create signal "$SIGNAL_DB_PASSWORD"
create telegram "$TELEGRAM_DB_PASSWORD"
