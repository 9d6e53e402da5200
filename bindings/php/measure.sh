#!/bin/sh
# measure.sh PREFIX [NAME...] - our example beside php-fpm, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. php-fpm stands behind nginx, with the settings that its documentation has
# for reloads without loss; it is left out where one of them is missing. `php -S` is no peer: it
# neither reloads nor replaces a worker.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

chmod 755 "$scratch"

# A project with the package, as Composer makes it.
mkdir "$scratch/project"
printf '{"repositories": [{"type": "path", "url": "%s", "options": {"symlink": false}}, %s]}\n' \
    "$here" '{"packagist.org": false}' >"$scratch/project/composer.json"
COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME=$scratch/home composer --no-interaction --quiet \
    --working-dir="$scratch/project" require libprefork/prefork:^0.2
server=$scratch/project/vendor/libprefork/prefork/examples/http_server.php

row server 'PHP: http_server.php' -- php "$server"

fpm=$(find /usr/sbin /usr/local/sbin -name 'php-fpm*' 2>/dev/null | sort | tail -n 1)
if [ -z "$fpm" ] || ! command -v nginx >/dev/null; then
    exit "$status"
fi
mkdir "$scratch/www"
cat >"$scratch/www/index.php" <<'PHP'
<?php
$body = 'hello from pid ' . getmypid() . "\n";
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($body));
echo $body;
PHP
cat >"$scratch/start" <<EOF
#!/bin/sh
set -eu
cat >'$scratch/fpm.conf' <<FPM
[global]
error_log = /dev/null
daemonize = no
; the time that workers have in a reload
process_control_timeout = 10s
[www]
listen = $scratch/socket
listen.mode = 0666
$([ "$(id -u)" -ne 0 ] || printf 'user = www-data\ngroup = www-data\n')
pm = static
pm.max_children = \$WORKERS
FPM
cat >'$scratch/nginx.conf' <<NGINX
daemon off;
master_process off;
pid $scratch/nginx.pid;
error_log /dev/null;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path $scratch/body;
    fastcgi_temp_path $scratch/fastcgi;
    proxy_temp_path $scratch/proxy;
    uwsgi_temp_path $scratch/uwsgi;
    scgi_temp_path $scratch/scgi;
    keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:\$PORT;
        location / {
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $scratch/www/index.php;
            fastcgi_pass unix:$scratch/socket;
        }
    }
}
NGINX
nginx -c '$scratch/nginx.conf' -e /dev/null &
exec $fpm --fpm-config '$scratch/fpm.conf' --nodaemonize
EOF
chmod 755 "$scratch/start"
row fpm 'PHP: php-fpm behind nginx' --reload USR2 -- "$scratch/start"
exit "$status"
