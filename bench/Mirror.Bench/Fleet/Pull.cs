using System.Net.Sockets;
using System.Text;
using Mirror.Storage;

namespace Mirror.Bench.Fleet;

/// <summary>An image upstream, and clients that pull it as engines do: its manifest, then its layers, three at a time.</summary>
internal sealed class Pull
{
    private const int AtOnce = 3;

    private readonly string _tag = Guid.NewGuid().ToString("N");
    private readonly byte[] _manifest;

    public Pull(Upstream upstream, int layers, long layerSize)
    {
        Layers = [.. Enumerable.Range(0, layers).Select(_ => upstream.Add(new Blob(layerSize)))];
        var layerList = string.Join(',', Layers.Select(layer =>
            $$"""{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":{{layer.Length}},"digest":"{{layer.Digest}}"}"""));
        var config = layerList.Split("},")[0].TrimEnd('}') + "}";
        _manifest = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{config}},"layers":[{{layerList}}]}""");
        upstream.Add(_tag, _manifest);
    }

    public Blob[] Layers { get; }

    public Digest ManifestDigest => Digest.Of(_manifest);

    public long Bytes => Layers.Sum(layer => layer.Length);

    /// <summary>Writes the image where a file server expects it.</summary>
    public void WriteTo(Func<string, string> fileOf)
    {
        foreach (var layer in Layers)
            layer.WriteTo(fileOf(Image.BlobPath(layer.Digest)));
        var manifest = fileOf(Image.ManifestPath(_tag));
        Directory.CreateDirectory(Path.GetDirectoryName(manifest)!);
        File.WriteAllBytes(manifest, _manifest);
    }

    /// <summary>Pulls the whole image.</summary>
    /// <param name="retries">How often a failed request may be sent again.</param>
    /// <param name="failing">Gets the reason why a request failed after its retries.</param>
    /// <returns>How many requests failed after their retries; null if a byte was wrong.</returns>
    public int? Run(int port, int retries, Action<string>? failing = null)
    {
        var (next, failed, wrong) = (-1, 0, 0);
        Ask(port, Image.ManifestPath(_tag), null, retries, failing, ref failed, ref wrong);
        Thread[] threads = [.. Enumerable.Range(0, Math.Min(AtOnce, Layers.Length)).Select(_ => new Thread(() =>
        {
            while (Interlocked.Increment(ref next) is var i && i < Layers.Length)
                Ask(port, Image.BlobPath(Layers[i].Digest), Layers[i], retries, failing, ref failed, ref wrong);
        }, 256 * 1024))];
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        return wrong > 0 ? null : failed;
    }

    private void Ask(int port, string path, Blob? blob, int retries, Action<string>? failing, ref int failed, ref int wrong)
    {
        for (var attempt = 0; ; attempt++)
        {
            string why;
            try
            {
                using var client = new Client(port, 64 * 1024);
                var reply = client.Ask(path, expected: blob);
                if (reply.Status == 200 && (blob is not null || reply.Bytes == _manifest.Length))
                    return;
                why = $"{reply.Status}";
            }
            catch (InvalidDataException)
            {
                Interlocked.Increment(ref wrong);
                return;
            }
            catch (Exception broken) when (broken is IOException or SocketException)
            {
                why = broken.Message;
            }
            if (attempt == retries)
            {
                failing?.Invoke($"{path}: {why}");
                Interlocked.Increment(ref failed);
                return;
            }
        }
    }
}
