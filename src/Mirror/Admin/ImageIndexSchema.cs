namespace Mirror.Admin;

/// <summary>The tables of <see cref="ImageIndex"/>.</summary>
internal static class ImageIndexSchema
{
    /// <summary>Counts the changes of the tables. What an older version wrote is read from the store again, but for the pulls.</summary>
    public const long Version = 2;

    /// <summary>Removes what the store can tell again.</summary>
    public const string Drop = """
        drop table if exists used; drop table if exists image;
        drop table if exists part; drop table if exists image_part; drop table if exists state;
        """;

    /// <summary>Makes the tables that do not exist. Each connection has 4 MiB of pages.</summary>
    public const string Create = """
        pragma journal_mode = wal; pragma synchronous = normal;
        create table if not exists image(
            id integer primary key, name text not null, tag text not null, digest text not null, platforms text not null,
            whole integer not null, bytes integer not null, last integer not null, pulls integer not null, seen integer not null,
            unique(name, tag));
        create index if not exists image_by_bytes on image(bytes);
        create index if not exists image_by_last on image(last);
        create index if not exists image_by_pulls on image(pulls);
        create table if not exists part(id integer primary key, digest text not null unique, bytes integer not null);
        create table if not exists image_part(image integer not null, part integer not null, primary key(image, part)) without rowid;
        create index if not exists images_of_part on image_part(part);
        create table if not exists pulled(
            name text not null, reference text not null, pulls integer not null, last integer not null,
            primary key(name, reference)) without rowid;
        create table if not exists tagged(
            name text not null, tag text not null, since integer not null, digest text not null,
            primary key(name, tag, since)) without rowid;
        create table if not exists puller(
            name text not null, reference text not null, client text not null, last integer not null,
            primary key(name, reference, client)) without rowid;
        create table if not exists manifest(digest text primary key, names text not null) without rowid;
        create table if not exists size(at integer primary key, bytes integer not null);
        create table if not exists state(key text primary key, value integer not null) without rowid;
        """;
}
