namespace Mirror.Admin;

/// <summary>
/// The tables of <see cref="ImageIndex"/>. Triggers count the images of each part, and the bytes of each image that other images have too.
/// </summary>
internal static class ImageIndexSchema
{
    /// <summary>Counts the changes of the tables. What an older version wrote is read from the store again, but for the pulls.</summary>
    public const long Version = 4;

    /// <summary>Removes what the store can tell again.</summary>
    public const string Drop = """
        drop table if exists used; drop table if exists image;
        drop table if exists part; drop table if exists image_part; drop table if exists state;
        """;

    /// <summary>Makes the tables that do not exist. Each connection has 4 MiB of pages.</summary>
    public const string Create = """
        pragma journal_mode = wal; pragma synchronous = normal;
        create table if not exists image(
            id integer primary key, name text not null, reference text not null, digest text not null, platforms text not null,
            whole integer not null, bytes integer not null, shared integer not null default 0, last integer not null,
            pulls integer not null, seen integer not null, unique(name, reference));
        create index if not exists image_by_bytes on image(bytes);
        create index if not exists image_by_shared on image(shared);
        create index if not exists image_by_platforms on image(platforms);
        create index if not exists image_by_last on image(last);
        create index if not exists image_by_pulls on image(pulls);
        create table if not exists part(
            id integer primary key, digest text not null unique, bytes integer not null, images integer not null default 0);
        create table if not exists image_part(image integer not null, part integer not null, primary key(image, part)) without rowid;
        create index if not exists images_of_part on image_part(part);
        create trigger if not exists part_linked after insert on image_part begin
            update part set images = images + 1 where id = new.part;
            update image set shared = shared + (select bytes from part where id = new.part)
                where id = new.image and (select images from part where id = new.part) > 2;
        end;
        create trigger if not exists part_unlinked after delete on image_part begin
            update part set images = images - 1 where id = old.part;
            update image set shared = shared - (select bytes from part where id = old.part)
                where id = old.image and (select images from part where id = old.part) > 0;
        end;
        create trigger if not exists part_shared after update of images on part when old.images = 1 and new.images = 2 begin
            update image set shared = shared + new.bytes where id in (select image from image_part where part = new.id);
        end;
        create trigger if not exists part_own after update of images on part when old.images = 2 and new.images = 1 begin
            update image set shared = shared - new.bytes where id in (select image from image_part where part = new.id);
        end;
        create trigger if not exists part_resized after update of bytes on part when new.bytes <> old.bytes and new.images > 1 begin
            update image set shared = shared + new.bytes - old.bytes where id in (select image from image_part where part = new.id);
        end;
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
