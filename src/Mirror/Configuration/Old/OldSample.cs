namespace Mirror.Configuration.Old;

/// <summary>The flavors that docker-registry 0.x had without a file: <c>SETTINGS_FLAVOR</c> names one, and variables set it up.</summary>
internal static class OldSample
{
    /// <summary>The names that some manuals used, by the name in the sample.</summary>
    public static readonly IReadOnlyDictionary<string, string> OtherNames = new Dictionary<string, string>
    {
        ["AWS_KEY"] = "AWS_S3_ACCESS_KEY",
        ["AWS_SECRET"] = "AWS_S3_SECRET_KEY",
        ["AWS_BUCKET"] = "AWS_S3_BUCKET",
    };

    public const string Text = """
        common: &common
          issue: '"docker-registry server"'
          loglevel: _env:LOGLEVEL:info
          debug: _env:DEBUG:false
          standalone: _env:STANDALONE:true
          index_endpoint: _env:INDEX_ENDPOINT
          disable_token_auth: _env:DISABLE_TOKEN_AUTH
          privileged_key: _env:PRIVILEGED_KEY
          storage_redirect: _env:STORAGE_REDIRECT
          search_backend: _env:SEARCH_BACKEND
          sqlalchemy_index_database: _env:SQLALCHEMY_INDEX_DATABASE
          mirroring:
            source: _env:MIRROR_SOURCE
            source_index: _env:MIRROR_SOURCE_INDEX
            tags_cache_ttl: _env:MIRROR_TAGS_CACHE_TTL
          cache:
            host: _env:CACHE_REDIS_HOST
            port: _env:CACHE_REDIS_PORT
            db: _env:CACHE_REDIS_DB:0
            password: _env:CACHE_REDIS_PASSWORD
          cache_lru:
            host: _env:CACHE_LRU_REDIS_HOST
            port: _env:CACHE_LRU_REDIS_PORT
            db: _env:CACHE_LRU_REDIS_DB:0
            password: _env:CACHE_LRU_REDIS_PASSWORD
          email_exceptions:
            smtp_host: _env:SMTP_HOST
            smtp_port: _env:SMTP_PORT
            smtp_login: _env:SMTP_LOGIN
            smtp_password: _env:SMTP_PASSWORD
            smtp_secure: _env:SMTP_SECURE
            from_addr: _env:SMTP_FROM_ADDR
            to_addr: _env:SMTP_TO_ADDR
          bugsnag: _env:BUGSNAG
          cors:
            origins: _env:CORS_ORIGINS
            methods: _env:CORS_METHODS
            headers: _env:CORS_HEADERS
            expose_headers: _env:CORS_EXPOSE_HEADERS
            supports_credentials: _env:CORS_SUPPORTS_CREDENTIALS
            max_age: _env:CORS_MAX_AGE
            send_wildcard: _env:CORS_SEND_WILDCARD
            always_send: _env:CORS_ALWAYS_SEND
            automatic_options: _env:CORS_AUTOMATIC_OPTIONS
            vary_header: _env:CORS_VARY_HEADER
            resources: _env:CORS_RESOURCES
        local: &local
          <<: *common
          storage: local
          storage_path: _env:STORAGE_PATH:/tmp/registry
        dev:
          <<: *local
          loglevel: _env:LOGLEVEL:debug
          debug: _env:DEBUG:true
          search_backend: _env:SEARCH_BACKEND:sqlalchemy
        test:
          <<: *local
        s3: &s3
          <<: *common
          storage: s3
          s3_region: _env:AWS_REGION
          s3_bucket: _env:AWS_BUCKET
          boto_bucket: _env:AWS_BUCKET
          storage_path: _env:STORAGE_PATH:/registry
          s3_encrypt: _env:AWS_ENCRYPT:true
          s3_secure: _env:AWS_SECURE:true
          s3_access_key: _env:AWS_KEY
          s3_secret_key: _env:AWS_SECRET
          s3_use_sigv4: _env:AWS_USE_SIGV4
          boto_host: _env:AWS_HOST
          boto_port: _env:AWS_PORT
          boto_debug: _env:AWS_DEBUG
          boto_calling_format: _env:AWS_CALLING_FORMAT
        cloudfronts3:
          <<: *s3
          cloudfront:
            base: _env:CF_BASE_URL
            keyid: _env:CF_KEYID
            keysecret: _env:CF_KEYSECRET
        ceph-s3:
          <<: *s3
          s3_encrypt: _env:AWS_ENCRYPT:false
          s3_secure: _env:AWS_SECURE:false
        prod:
          <<: *s3
          storage_path: _env:STORAGE_PATH:/prod
        azureblob:
          <<: *common
          storage: azureblob
          azure_storage_account_name: _env:AZURE_STORAGE_ACCOUNT_NAME
          azure_storage_account_key: _env:AZURE_STORAGE_ACCOUNT_KEY
          azure_storage_container: _env:AZURE_STORAGE_CONTAINER:registry
          azure_use_https: _env:AZURE_USE_HTTPS:true
        gcs:
          <<: *common
          storage: gcs
          boto_bucket: _env:GCS_BUCKET
          storage_path: _env:STORAGE_PATH:/registry
          gs_secure: _env:GCS_SECURE:true
          gs_access_key: _env:GCS_KEY
          gs_secret_key: _env:GCS_SECRET
          oauth2: _env:GCS_OAUTH2:false
        swift: &swift
          <<: *common
          storage: swift
          storage_path: _env:STORAGE_PATH:/registry
          swift_authurl: _env:OS_AUTH_URL
          swift_container: _env:OS_CONTAINER
          swift_user: _env:OS_USERNAME
          swift_password: _env:OS_PASSWORD
          swift_tenant_name: _env:OS_TENANT_NAME
          swift_region_name: _env:OS_REGION_NAME
        glance: &glance
          <<: *common
          storage: glance
          storage_alternate: _env:GLANCE_STORAGE_ALTERNATE:file
          storage_path: _env:STORAGE_PATH:/tmp/registry
        openstack:
          <<: *glance
        glance-swift: &glance-swift
          <<: *swift
          storage: glance
          storage_alternate: swift
        openstack-swift:
          <<: *glance-swift
        elliptics:
          <<: *common
          storage: elliptics
          storage_path: _env:STORAGE_PATH
          elliptics_nodes: _env:ELLIPTICS_NODES
          elliptics_groups: _env:ELLIPTICS_GROUPS
        oss:
          <<: *common
          storage: oss
          storage_path: _env:STORAGE_PATH:/registry/
          oss_host: _env:OSS_HOST
          oss_bucket: _env:OSS_BUCKET
          oss_accessid: _env:OSS_KEY
          oss_accesskey: _env:OSS_SECRET
        """;
}
