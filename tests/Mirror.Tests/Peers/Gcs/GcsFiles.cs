namespace Mirror.Tests.Peers.Gcs;

/// <summary>The files with the bytes of the objects.</summary>
internal sealed class GcsFiles(GcsBuckets buckets, string folder)
{
    public (GcsObject Found, FileStream File) Open(string bucket, string name, GcsConditions conditions)
    {
        while (true)
        {
            var found = buckets.Find(bucket, name, conditions);
            try
            {
                return (found, File.OpenRead(found.Bytes.Path));
            }
            catch (FileNotFoundException)
            {
                // Another request replaced or deleted the object meanwhile.
            }
        }
    }

    public async Task<GcsBytes> WriteAsync(Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, Guid.NewGuid().ToString("N"));
        await using (var file = File.Create(path))
            await write(file, cancellationToken);
        return await GcsBytes.OfAsync(path, cancellationToken);
    }
}
