#!/usr/bin/env bash
# PostgreSQL with TLS and SCRAM on 127.0.0.1: at $P, a standby of it at $P+1, one with the certificate of another host at
# $P+2, one with an expired certificate at $P+3. As root: they run as the user postgres. 10 s.
#
#   B=/usr/lib/postgresql/15/bin S=folder-of-certificates D=new-folder P=38432 bash tests/setups/postgres.sh
#
# $B has initdb, pg_ctl and postgres (15 or newer, built with TLS); $S has ca, broker, wronghost and expired (.pem and .key).
# To end one: $B/pg_ctl -D $D/NAME stop -m fast
set -euo pipefail
: "${B:?}" "${S:?}" "${D:?}" "${P:?}"
as() { setpriv --reuid=postgres --regid=postgres --init-groups --inh-caps=-all "$@"; }
install -d -o postgres -g postgres -m 755 "$D"
install -m 644 "$S/ca.pem" "$D/ca.pem"
echo super-pass >"$D/password"
for name in broker wronghost expired; do
  install -o postgres -g postgres -m 600 "$S/$name.key" "$D/$name.key"
  install -o postgres -g postgres -m 644 "$S/$name.pem" "$D/$name.pem"
done
cd "$D"

make() { # NAME PORT CERTIFICATE
  as "$B/initdb" -D "$D/$1" -U postgres -A scram-sha-256 --pwfile="$D/password" -E UTF8 --locale=C >/dev/null
  cat >>"$D/$1/postgresql.conf" <<C
port = $2
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_cert_file = '$D/$3.pem'
ssl_key_file = '$D/$3.key'
ssl_ca_file = '$D/ca.pem'
wal_level = replica
C
  cat >"$D/$1/pg_hba.conf" <<H
hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostssl all all 127.0.0.1/32 scram-sha-256
hostnossl all nossl,postgres,tollbell 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 scram-sha-256
H
  as "$B/postgres" --single -D "$D/$1" postgres >"$D/$1.made" 2>&1 <<Q
CREATE ROLE tollbell LOGIN PASSWORD 'pg-good-pass'
CREATE ROLE reader LOGIN PASSWORD 'pg-good-pass'
CREATE ROLE nossl LOGIN PASSWORD 'pg-good-pass'
CREATE DATABASE tollbell OWNER tollbell
Q
}

make primary "$P" broker
make wronghost $((P + 2)) wronghost
make expired $((P + 3)) expired
cp -a "$D/primary" "$D/standby"
touch "$D/standby/standby.signal"
chown postgres "$D/standby/standby.signal"
cat >>"$D/standby/postgresql.conf" <<C
port = $((P + 1))
primary_conninfo = 'host=127.0.0.1 port=$P user=postgres password=super-pass'
C
for name in primary standby wronghost expired; do
  as "$B/pg_ctl" -D "$D/$name" -l "$D/$name.log" -w start >/dev/null
done
