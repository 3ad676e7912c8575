using System.Globalization;
using System.Text;
using Mirror.Storage;

namespace Mirror.Import;

/// <summary>
/// Which layers were converted, in a file of a line for each: a later run need not read them again. The file may be lost; what it says
/// counts only while the layer is stored.
/// </summary>
internal sealed class LayerRecords : IDisposable
{
    private readonly Dictionary<string, StoredLayer> _layers = [];
    private readonly FileStream _file;

    /// <exception cref="IOException">The file cannot be read or written, or another import is using it.</exception>
    public LayerRecords(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        // What a damaged file begins with must not make text of another encoding of it.
        using var reader = new StreamReader(_file, Encoding.ASCII, detectEncodingFromByteOrderMarks: false, leaveOpen: true);
        // A process that died may have left a part of a line. The next line begins behind a line break.
        while (reader.ReadLine() is { } line)
            if (line.Split(' ') is [var id, var digest, var diffId, var size, "."]
                && Digest.TryParse(digest, out var stored) && Digest.TryParse(diffId, out var plain)
                && long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes))
                _layers[id] = new(stored, plain, bytes);
        _file.Seek(0, SeekOrigin.End);
    }

    public StoredLayer? Find(string id) => _layers.TryGetValue(id, out var layer) ? layer : null;

    public void Add(string id, StoredLayer layer)
    {
        _layers[id] = layer;
        _file.Write(Encoding.ASCII.GetBytes($"\n{id} {layer.Digest} {layer.DiffId} {layer.Size} ."));
        _file.Flush(flushToDisk: true);
    }

    public void Dispose() => _file.Dispose();
}
